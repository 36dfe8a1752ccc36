SELECT
    project_id, monitor, window_start_ms, window_end_ms, number, kind, revision, facts, wall_ms,
    project_ms
FROM monitor_results
WHERE project_id = $1 AND monitor = $2 AND window_start_ms = $3
ORDER BY revision DESC, number, kind
LIMIT $4
