-- Bound: one approval of a request for each role and person.
SELECT id, project_id, request_id, release_digest, role, principal_id, note, wall_ms, project_ms
FROM approvals
WHERE request_id = $1
ORDER BY id
