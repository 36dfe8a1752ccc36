-- Bound: one value of each metric of the given runs, a page of a search.
SELECT m.run_number, k.name AS key, m.value, m.is_nan, m.timestamp_ms, m.step
FROM json_each($1) AS given
JOIN latest_metrics AS m ON m.run_number = given.value
JOIN metric_keys AS k ON k.id = m.key_id
ORDER BY m.run_number, k.name
