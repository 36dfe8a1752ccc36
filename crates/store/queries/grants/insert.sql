INSERT INTO grants (
    id, principal_id, project_id, role, scope_kind, scope_id, created_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7
)
ON CONFLICT DO NOTHING
