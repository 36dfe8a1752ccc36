SELECT id, project_id, kind, subject, description, server_id, deaths, wall_ms
FROM attempts
WHERE project_id = $1 AND kind = $2 AND subject = $3
