INSERT INTO approvals (
    id, project_id, request_id, release_digest, role, principal_id, note, wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9
)
ON CONFLICT DO NOTHING
