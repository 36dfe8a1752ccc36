UPDATE model_versions SET state = $4, updated_ms = $5
WHERE model_id = $1 AND number = $2 AND state = $3
