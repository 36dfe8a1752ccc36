SELECT secret_hash, principal_id, csrf_token, created_ms, expires_ms
FROM sessions
WHERE secret_hash = $1 AND expires_ms > $2
