SELECT
    id, project_id, pipeline_run_id, step_run_id, release_digest, body, wall_ms, project_ms,
    expires_project_ms
FROM evidence
WHERE id = $1
