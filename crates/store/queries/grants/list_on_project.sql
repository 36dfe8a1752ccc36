SELECT id, principal_id, project_id, role, scope_kind, scope_id, created_ms
FROM grants
WHERE project_id = $1
ORDER BY id
