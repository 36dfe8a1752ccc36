SELECT
    id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
    wall_ms, project_ms, settled_ms
FROM alerts
WHERE id = $1
