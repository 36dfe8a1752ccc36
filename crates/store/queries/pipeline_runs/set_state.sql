UPDATE pipeline_runs
SET state = $3, message = COALESCE($4, message), started_ms = COALESCE(started_ms, $5), ended_ms = $6
WHERE id = $1 AND state = $2
