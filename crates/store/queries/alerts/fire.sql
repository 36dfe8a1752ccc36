INSERT INTO alerts (
    id, project_id, subject, name, window_start_ms, number, expression, facts, message, state,
    wall_ms, project_ms, settled_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
)
ON CONFLICT DO NOTHING
