INSERT INTO dataset_inputs (experiment_id, name, digest, source_type, source, schema, profile)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
