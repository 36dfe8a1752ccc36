-- Bound: one row for each of the given keys.
SELECT k.id, k.name
FROM json_each($1) AS given
JOIN metric_keys AS k ON k.name = given.value
