INSERT INTO monitor_results (
    project_id, monitor, window_start_ms, window_end_ms, number, kind, revision, facts, wall_ms,
    project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
)
ON CONFLICT DO NOTHING
