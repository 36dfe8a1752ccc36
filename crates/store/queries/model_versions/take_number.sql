UPDATE registered_models
SET last_number = last_number + 1, updated_ms = $2
WHERE id = $1
RETURNING last_number
