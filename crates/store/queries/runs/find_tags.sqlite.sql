-- Bound: one tag for each of the given keys.
SELECT key, value
FROM tags
WHERE run_number = $1 AND key IN (SELECT value FROM json_each($2))
