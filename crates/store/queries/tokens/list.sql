-- Bound: the tokens of one principal; those that have ended are deleted.
SELECT id, principal_id, secret_hash, kind, name, project_id, run_id, created_ms, expires_ms, revoked_ms
FROM tokens
WHERE principal_id = $1
ORDER BY id
