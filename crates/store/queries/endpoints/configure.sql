UPDATE endpoints SET config = $3, generation = generation + 1, updated_ms = $4
WHERE project_id = $1 AND name = $2
