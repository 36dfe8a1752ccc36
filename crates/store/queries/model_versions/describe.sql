UPDATE model_versions SET description = $3, updated_ms = $4
WHERE model_id = $1 AND number = $2
