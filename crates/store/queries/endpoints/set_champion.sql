UPDATE endpoints
SET champion_number = $4, champion_since_ms = $5, generation = generation + 1, updated_ms = $6
WHERE project_id = $1 AND name = $2 AND generation = $3
