-- Bound: the versions that answered in one window, times the kinds of results.
SELECT
    r.project_id, r.monitor, r.window_start_ms, r.window_end_ms, r.number, r.kind, r.revision,
    r.facts, r.wall_ms, r.project_ms
FROM monitor_results AS r
WHERE r.project_id = $1 AND r.monitor = $2 AND r.window_start_ms = $3
    AND r.revision = (
        SELECT MAX(later.revision)
        FROM monitor_results AS later
        WHERE later.project_id = r.project_id AND later.monitor = r.monitor
            AND later.window_start_ms = r.window_start_ms AND later.number = r.number AND later.kind = r.kind
    )
ORDER BY r.window_start_ms, r.number, r.kind
