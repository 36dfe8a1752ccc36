INSERT INTO sessions (
    secret_hash, principal_id, csrf_token, created_ms, expires_ms
)
VALUES (
    $1, $2, $3, $4, $5
)
ON CONFLICT DO NOTHING
