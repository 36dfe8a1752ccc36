SELECT
    id, project_id, kind, state, cause, file_digest, options, holder, message, wall_ms, project_ms,
    started_ms, ended_ms
FROM pipeline_runs
WHERE project_id = $1 AND id < $2
ORDER BY id DESC
LIMIT $3
