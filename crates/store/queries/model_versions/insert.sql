INSERT INTO model_versions (
    model_id, number, project_id, source, run_id, step_run_id, content_digest, signature, flavor,
    manifest, state, description, user_id, wall_ms, project_ms, updated_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
)
ON CONFLICT DO NOTHING
