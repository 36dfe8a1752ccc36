-- Bound: one grant of a principal on each project, and one on the server.
SELECT id, principal_id, project_id, role, scope_kind, scope_id, created_ms
FROM grants
WHERE principal_id = $1
ORDER BY id
