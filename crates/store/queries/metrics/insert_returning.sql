INSERT INTO metrics (run_number, key_id, timestamp_ms, step, value, is_nan)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
RETURNING key_id, timestamp_ms, step, value, is_nan
