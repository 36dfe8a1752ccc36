SELECT
    log, number, project_id, endpoint, record_count, digest, state, load_id, dataset_number,
    wall_ms, project_ms
FROM prediction_segments
WHERE log = $1 AND state = 'sealed'
ORDER BY number
LIMIT $2
