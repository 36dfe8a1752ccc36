-- Bound: each of the requests as often as it has approvals, at least once.
SELECT
    waiting.id, waiting.project_id, waiting.decision_id, waiting.release_digest, waiting.number, waiting.roles,
    waiting.cause, waiting.requested_by, waiting.state, waiting.closed_by, waiting.reason, waiting.wall_ms,
    waiting.project_ms, waiting.closed_ms, approvals.role AS approved
FROM (
    SELECT
        id, project_id, decision_id, release_digest, number, roles, cause, requested_by, state, closed_by, reason,
        wall_ms, project_ms, closed_ms
    FROM approval_requests
    WHERE state = 'waiting'
    ORDER BY id
    LIMIT $1
) AS waiting
LEFT JOIN approvals ON approvals.request_id = waiting.id
ORDER BY waiting.id, approvals.id
