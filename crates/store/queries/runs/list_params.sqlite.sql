-- Bound: the parameters of the given runs, a page of a search.
SELECT t.run_number, t.key, t.value
FROM json_each($1) AS given
JOIN params AS t ON t.run_number = given.value
ORDER BY t.run_number, t.key
