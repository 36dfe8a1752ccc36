-- Bound: the grants of every principal of this server.
SELECT id, principal_id, role, scope_kind, project_id, scope_id, origin, created_ms
FROM grants
ORDER BY principal_id, id
