-- The ids of pipeline runs are the order of firings, whatever the clocks showed.
SELECT project_id, trigger_name, cause_id, pipeline_run_id, wall_ms, project_ms
FROM trigger_firings
WHERE project_id = $1 AND trigger_name = $2
ORDER BY pipeline_run_id DESC NULLS LAST, project_ms DESC, cause_id DESC
LIMIT 1
