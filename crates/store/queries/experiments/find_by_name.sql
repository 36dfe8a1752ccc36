SELECT id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms
FROM experiments
WHERE project_id = $1 AND name = $2
