DELETE FROM model_tags WHERE model_id = $1 AND key = $2
