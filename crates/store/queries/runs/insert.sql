INSERT INTO runs (
    run_id, project_id, experiment_id, parent_run_id, name, user_id, status, lifecycle, start_ms, artifact_uri
)
SELECT $1, e.project_id, e.id, $3, $4, $5, $6, 'active', $7, e.artifact_location || '/' || $1 || '/artifacts'
FROM experiments AS e
WHERE e.id = $2 AND e.lifecycle = 'active'
ON CONFLICT DO NOTHING
