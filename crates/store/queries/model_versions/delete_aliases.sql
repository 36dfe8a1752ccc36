DELETE FROM model_aliases WHERE model_id = $1 AND number = $2
