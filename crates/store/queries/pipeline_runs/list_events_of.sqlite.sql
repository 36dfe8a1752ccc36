SELECT sequence, body, wall_ms
FROM events
WHERE pipeline_run_id = $1
  AND json_extract(body, '$.event') IN (SELECT value FROM json_each($2))
ORDER BY sequence
LIMIT $3
