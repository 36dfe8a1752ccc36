INSERT INTO evidence (
    id, project_id, pipeline_run_id, step_run_id, release_digest, body, wall_ms, project_ms,
    expires_project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9
)
ON CONFLICT DO NOTHING
