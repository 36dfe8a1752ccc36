SELECT id, name, experiment_id, file_digest, clock_ms, created_ms
FROM projects
WHERE id = $1
