UPDATE registered_models SET description = $2, updated_ms = $3 WHERE id = $1
