INSERT INTO endpoints (
    project_id, name, model_id, alias, champion_number, champion_since_ms, canary_number,
    canary_state, canary_started_wall_ms, canary_started_ms, canary_share, canary_decision_id,
    canary_release_digest, config, generation, updated_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
)
ON CONFLICT DO NOTHING
