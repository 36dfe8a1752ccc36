SELECT
    id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
    wall_ms, project_ms, settled_ms
FROM (
    SELECT
        id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
        wall_ms, project_ms, settled_ms
    FROM alerts
    WHERE project_id = $1 AND state <> 'resolved' AND state = 'firing' AND id > $2
    ORDER BY id
    LIMIT $3
) AS firing
UNION ALL
SELECT
    id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
    wall_ms, project_ms, settled_ms
FROM (
    SELECT
        id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
        wall_ms, project_ms, settled_ms
    FROM alerts
    WHERE project_id = $1 AND state <> 'resolved' AND state = 'acknowledged' AND id > $2
    ORDER BY id
    LIMIT $3
) AS acknowledged
ORDER BY id
LIMIT $3
