UPDATE step_runs
SET state = $3, started_ms = COALESCE(started_ms, $4), ended_ms = $5, exit = COALESCE($6, exit),
    peak_memory_bytes = COALESCE($7, peak_memory_bytes), isolation = COALESCE($8, isolation),
    message = COALESCE($9, message), log_digest = COALESCE($10, log_digest)
WHERE id = $1 AND state = $2
