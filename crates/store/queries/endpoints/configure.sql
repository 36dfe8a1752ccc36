UPDATE endpoints SET config = $3, updated_ms = $4
WHERE project_id = $1 AND name = $2
