-- Bound: one tag for each of the given keys.
SELECT key, value
FROM tags
WHERE run_number = $1
    AND key IN (SELECT value COLLATE "C" FROM jsonb_array_elements_text(CAST($2 AS TEXT)::jsonb) AS given (value))
