-- Bound: the tags of one experiment, which a client reads as a whole.
SELECT key, value
FROM experiment_tags
WHERE experiment_id = $1
ORDER BY key
