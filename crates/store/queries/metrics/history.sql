SELECT k.name AS key, m.value, m.is_nan, m.timestamp_ms, m.step
FROM metrics AS m
JOIN metric_keys AS k ON k.id = m.key_id
WHERE m.run_number = (SELECT number FROM runs WHERE run_id = $1)
    AND m.key_id = (SELECT id FROM metric_keys WHERE name = $2)
    AND (m.timestamp_ms, m.step, m.value, m.is_nan) > ($3, $4, $5, $6)
ORDER BY m.timestamp_ms, m.step, m.value, m.is_nan
LIMIT $7
