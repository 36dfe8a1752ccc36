UPDATE endpoints
SET canary_number = $4, canary_state = 'running', canary_started_wall_ms = $5, canary_started_ms = $6,
    canary_share = $7, canary_decision_id = $8, canary_release_digest = $9, generation = generation + 1, updated_ms = $5
WHERE project_id = $1 AND name = $2 AND generation = $3
