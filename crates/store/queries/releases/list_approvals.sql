-- Bound: one approval of a release for each role and person.
SELECT id, project_id, release_digest, role, principal_id, note, wall_ms, project_ms
FROM approvals
WHERE project_id = $1 AND release_digest = $2
ORDER BY id
