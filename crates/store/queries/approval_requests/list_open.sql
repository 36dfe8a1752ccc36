-- Bound: a newer request replaces the open one of its project.
SELECT
    id, project_id, decision_id, release_digest, number, roles, cause, requested_by, state, closed_by, reason,
    wall_ms, project_ms, closed_ms
FROM approval_requests
WHERE project_id = $1 AND state IN ('waiting', 'approved')
ORDER BY id
