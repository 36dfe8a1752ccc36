-- Bound: one attempt at each step of a project.
SELECT
    r.id, r.project_id, r.pipeline_run_id, r.step, r.attempt, r.state, r.cache_key, r.key_parts,
    r.reused_from, r.run_id, r.runner, r.exit, r.peak_memory_bytes, r.isolation, r.message,
    r.log_digest, r.started_ms, r.ended_ms
FROM step_runs AS r
JOIN (
    SELECT step, MAX(id) AS id
    FROM step_runs
    WHERE project_id = $1 AND state = 'succeeded'
    GROUP BY step
) AS newest ON newest.id = r.id
ORDER BY r.step
