SELECT
    id, project_id, pipeline_run_id, step_run_id, release_digest, body, wall_ms, project_ms,
    expires_project_ms
FROM evidence
WHERE step_run_id = $1
ORDER BY id DESC
LIMIT 1
