INSERT INTO trigger_firings (
    project_id, trigger_name, cause_id, pipeline_run_id, wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6
)
ON CONFLICT DO NOTHING
