-- Bound: the versions that one run registers.
SELECT
    model_id, number, project_id, source, run_id, step_run_id, content_digest, signature, flavor,
    manifest, state, description, user_id, wall_ms, project_ms, updated_ms
FROM model_versions
WHERE run_id = $1
ORDER BY model_id, number
