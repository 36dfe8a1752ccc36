SELECT id, project_id, kind, subject, description, server_id, deaths, wall_ms
FROM attempts
WHERE id = $1
