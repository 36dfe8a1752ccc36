-- Bound: experiments are made one by one, by people and scripts; a search filters them in memory.
SELECT id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms
FROM experiments
ORDER BY created_ms DESC, id
