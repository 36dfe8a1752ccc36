-- Bound: one value of each metric of a run, which a client reads as a whole.
SELECT k.name AS key, m.value, m.is_nan, m.timestamp_ms, m.step
FROM latest_metrics AS m
JOIN metric_keys AS k ON k.id = m.key_id
WHERE m.run_number = (SELECT number FROM runs WHERE run_id = $1)
ORDER BY k.name
