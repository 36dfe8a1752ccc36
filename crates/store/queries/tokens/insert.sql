INSERT INTO tokens (
    id, principal_id, secret_hash, kind, name, project_id, run_id, created_ms, expires_ms,
    revoked_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
)
ON CONFLICT DO NOTHING
