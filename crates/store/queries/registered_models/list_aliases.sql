-- Bound: the aliases of one model, set by people and releases.
SELECT model_id, alias, number, updated_ms
FROM model_aliases
WHERE model_id = $1
ORDER BY alias
