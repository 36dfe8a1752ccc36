-- Bound: the declared steps of one pipeline run, times the attempts at each.
SELECT
    id, project_id, pipeline_run_id, step, attempt, state, cache_key, key_parts, reused_from,
    run_id, runner, exit, peak_memory_bytes, isolation, message, log_digest, started_ms, ended_ms
FROM step_runs
WHERE pipeline_run_id = $1
ORDER BY id
