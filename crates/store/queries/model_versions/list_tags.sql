-- Bound: the tags of one version, which a client reads as a whole.
SELECT key, value
FROM model_version_tags
WHERE model_id = $1 AND number = $2
ORDER BY key
