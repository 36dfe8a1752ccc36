-- Bound: one value of each metric of the given runs, a page of a search.
SELECT m.run_number, k.name AS key, m.value, m.is_nan, m.timestamp_ms, m.step
FROM jsonb_array_elements_text(CAST($1 AS TEXT)::jsonb) AS given (value)
JOIN latest_metrics AS m ON m.run_number = CAST(given.value AS BIGINT)
JOIN metric_keys AS k ON k.id = m.key_id
ORDER BY m.run_number, k.name
