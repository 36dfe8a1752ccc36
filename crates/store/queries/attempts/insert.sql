INSERT INTO attempts (id, project_id, kind, subject, description, server_id, deaths, wall_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
