INSERT INTO source_grants (project_id, prefix, granted_by, created_ms)
VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
