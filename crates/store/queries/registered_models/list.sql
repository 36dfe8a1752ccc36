SELECT id, project_id, name, description, last_number, created_ms, updated_ms
FROM registered_models
WHERE project_id = $1 AND name > $2
ORDER BY name
LIMIT $3
