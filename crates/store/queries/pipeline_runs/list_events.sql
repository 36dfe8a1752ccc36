SELECT sequence, body, wall_ms
FROM events
WHERE pipeline_run_id = $1 AND sequence > $2
ORDER BY sequence
LIMIT $3
