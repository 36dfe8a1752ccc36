SELECT COALESCE(MAX(sequence), 0) + 1
FROM events
WHERE pipeline_run_id = $1
