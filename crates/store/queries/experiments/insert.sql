INSERT INTO experiments (project_id, name, artifact_location, lifecycle, created_ms, updated_ms)
VALUES ($1, $2, $3, 'active', $4, $4)
ON CONFLICT DO NOTHING
