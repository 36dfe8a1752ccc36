SELECT project_id, trigger_name, cause_id, pipeline_run_id, wall_ms, project_ms
FROM trigger_firings
WHERE project_id = $1 AND trigger_name = $2
ORDER BY wall_ms DESC, cause_id
