INSERT INTO grants (
    id, principal_id, role, scope_kind, project_id, scope_id, origin, created_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8
)
ON CONFLICT DO NOTHING
