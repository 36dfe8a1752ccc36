INSERT INTO projects (id, name, created_ms)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
