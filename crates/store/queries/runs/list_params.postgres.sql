-- Bound: the parameters of the given runs, a page of a search.
SELECT t.run_number, t.key, t.value
FROM jsonb_array_elements_text(CAST($1 AS TEXT)::jsonb) AS given (value)
JOIN params AS t ON t.run_number = CAST(given.value AS BIGINT)
ORDER BY t.run_number, t.key
