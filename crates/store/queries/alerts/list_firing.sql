SELECT
    id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
    wall_ms, project_ms, settled_ms
FROM alerts
WHERE project_id = $1 AND state <> 'resolved' AND state = 'firing'
ORDER BY id DESC
LIMIT $2
