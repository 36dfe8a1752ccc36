SELECT key, value
FROM model_tags
WHERE model_id = $1
ORDER BY key
