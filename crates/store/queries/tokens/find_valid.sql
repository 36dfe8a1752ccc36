SELECT id, principal_id, secret_hash, kind, name, project_id, run_id, created_ms, expires_ms, revoked_ms
FROM tokens
WHERE secret_hash = $1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2)
