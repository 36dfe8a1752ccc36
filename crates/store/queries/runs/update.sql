UPDATE runs
SET status = $2, end_ms = COALESCE($3, end_ms), name = COALESCE($4, name)
WHERE run_id = $1
