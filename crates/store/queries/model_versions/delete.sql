DELETE FROM model_versions WHERE model_id = $1 AND number = $2
