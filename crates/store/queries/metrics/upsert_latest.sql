INSERT INTO latest_metrics (run_number, key_id, experiment_id, value, is_nan, timestamp_ms, step)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (run_number, key_id) DO UPDATE
SET value = excluded.value, is_nan = excluded.is_nan, timestamp_ms = excluded.timestamp_ms, step = excluded.step
WHERE (excluded.step, excluded.timestamp_ms, excluded.value)
    > (latest_metrics.step, latest_metrics.timestamp_ms, latest_metrics.value)
