-- Bound: the tags of one model, which a client reads as a whole.
SELECT key, value
FROM model_tags
WHERE model_id = $1
ORDER BY key
