INSERT INTO step_runs (
    id, project_id, pipeline_run_id, step, attempt, state, cache_key, key_parts, reused_from,
    run_id, runner, exit, peak_memory_bytes, isolation, message, log_digest, started_ms, ended_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
)
ON CONFLICT DO NOTHING
