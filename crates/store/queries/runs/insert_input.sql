INSERT INTO run_inputs (run_number, name, digest, experiment_id, tags)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
