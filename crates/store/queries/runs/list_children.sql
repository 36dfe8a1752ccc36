SELECT
    number, run_id, project_id, experiment_id, parent_run_id, name, user_id, status, lifecycle, start_ms, end_ms,
    artifact_uri, deleted_ms, sealed_ms
FROM runs
WHERE parent_run_id = $1
ORDER BY number
