UPDATE endpoints
SET canary_state = $4, generation = generation + $5, updated_ms = $6
WHERE project_id = $1 AND name = $2 AND generation = $3
