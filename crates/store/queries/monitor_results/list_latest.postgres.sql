-- Bound: the given monitors, times the versions that answered in one window.
SELECT
    r.project_id, r.monitor, r.window_start_ms, r.window_end_ms, r.number, r.kind, r.revision,
    r.facts, r.wall_ms, r.project_ms
FROM jsonb_array_elements_text(CAST($2 AS TEXT)::jsonb) AS given (value)
JOIN monitor_results AS r
    ON r.project_id = $1 AND r.monitor = given.value AND r.kind = $3 AND r.window_start_ms = (
        SELECT MAX(latest.window_start_ms)
        FROM monitor_results AS latest
        WHERE latest.project_id = $1 AND latest.monitor = given.value AND latest.kind = $3
    )
WHERE r.revision = (
    SELECT MAX(later.revision)
    FROM monitor_results AS later
    WHERE later.project_id = r.project_id AND later.monitor = r.monitor
        AND later.window_start_ms = r.window_start_ms AND later.number = r.number AND later.kind = r.kind
)
ORDER BY r.monitor, r.number
