-- Bound: one approval of a request for each role and person; a person makes each request.
SELECT id, project_id, request_id, release_digest, role, principal_id, note, wall_ms, project_ms
FROM approvals
WHERE project_id = $1 AND release_digest = $2
ORDER BY id
