INSERT INTO approval_requests (
    id, project_id, decision_id, release_digest, number, roles, cause, requested_by, state, closed_by, reason,
    wall_ms, project_ms, closed_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
)
ON CONFLICT DO NOTHING
