SELECT key, value
FROM experiment_tags
WHERE experiment_id = $1
ORDER BY key
