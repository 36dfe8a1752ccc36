DELETE FROM model_aliases WHERE model_id = $1 AND alias = $2
