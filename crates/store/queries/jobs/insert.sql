INSERT INTO jobs (
    id, project_id, kind, payload, unique_key, state, clock, due_ms, attempts, lease_holder, lease_until_ms, message,
    created_ms, settled_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    $13, $14
)
ON CONFLICT DO NOTHING
