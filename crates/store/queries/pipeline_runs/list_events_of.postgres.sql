SELECT sequence, body, wall_ms
FROM events
WHERE pipeline_run_id = $1
  AND CAST(body AS jsonb) ->> 'event' IN (SELECT value FROM jsonb_array_elements_text(CAST($2 AS jsonb)) AS given (value))
ORDER BY sequence
LIMIT $3
