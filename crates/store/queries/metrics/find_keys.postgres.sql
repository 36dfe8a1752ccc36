-- Bound: one row for each of the given keys.
SELECT k.id, k.name
FROM jsonb_array_elements_text(CAST($1 AS TEXT)::jsonb) AS given (value)
JOIN metric_keys AS k ON k.name = given.value COLLATE "C"
