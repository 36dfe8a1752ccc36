-- Bound: the valid tokens of one kind.
SELECT id, principal_id, secret_hash, kind, name, project_id, run_id, created_ms, expires_ms, revoked_ms
FROM tokens
WHERE kind = $1 AND revoked_ms IS NULL
ORDER BY id
