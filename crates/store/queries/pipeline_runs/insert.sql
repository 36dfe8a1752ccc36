INSERT INTO pipeline_runs (
    id, project_id, kind, state, cause, file_digest, options, holder, message, wall_ms, project_ms,
    started_ms, ended_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
)
ON CONFLICT DO NOTHING
