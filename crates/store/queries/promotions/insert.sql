INSERT INTO promotions (
    id, project_id, endpoint, model_id, alias, from_number, to_number, kind, decision_id,
    release_digest, cause, actor, wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
)
ON CONFLICT DO NOTHING
