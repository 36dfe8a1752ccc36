-- Bound: each held piece of work has ended the server twice.
SELECT id, project_id, kind, subject, description, server_id, deaths, wall_ms
FROM attempts
WHERE project_id = $1 AND deaths >= $2
ORDER BY id
