-- Bound: the valid tokens of one kind.
UPDATE tokens SET revoked_ms = $2 WHERE kind = $1 AND revoked_ms IS NULL
RETURNING id, principal_id, secret_hash, kind, name, project_id, run_id, created_ms, expires_ms, revoked_ms
