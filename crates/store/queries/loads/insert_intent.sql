INSERT INTO load_intents (dataset_id, load_id, project_id, number, version, holder, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
