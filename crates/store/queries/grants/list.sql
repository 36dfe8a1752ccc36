-- Bound: the grants of one principal, each in a scope of its own.
SELECT id, principal_id, role, scope_kind, project_id, scope_id, origin, created_ms
FROM grants
WHERE principal_id = $1
ORDER BY id
