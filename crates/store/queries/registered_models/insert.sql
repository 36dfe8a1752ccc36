INSERT INTO registered_models (
    id, project_id, name, description, last_number, created_ms, updated_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7
)
ON CONFLICT DO NOTHING
