SELECT
    model_id, number, project_id, source, run_id, step_run_id, content_digest, signature, flavor,
    manifest, state, description, user_id, wall_ms, project_ms, updated_ms
FROM model_versions
WHERE model_id = $1 AND number < $2
ORDER BY number DESC
LIMIT $3
