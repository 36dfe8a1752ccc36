-- Bound: attempts under way when the server died, as many as a server makes at the same time.
SELECT id, project_id, kind, subject, description, server_id, deaths, wall_ms
FROM attempts
WHERE server_id IS NOT NULL
ORDER BY id
