SELECT COALESCE(MAX(revision), 0) + 1
FROM monitor_results
WHERE project_id = $1 AND monitor = $2 AND window_start_ms = $3 AND number = $4 AND kind = $5
