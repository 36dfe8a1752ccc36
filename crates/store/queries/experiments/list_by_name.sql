-- Bound: one for each project.
SELECT id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms
FROM experiments
WHERE name = $1
ORDER BY id
