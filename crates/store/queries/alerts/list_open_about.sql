SELECT
    id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
    wall_ms, project_ms, settled_ms
FROM alerts
WHERE project_id = $1 AND subject = $2 AND name = $3 AND state <> 'resolved'
ORDER BY window_start_ms
LIMIT $4
