UPDATE tokens SET revoked_ms = $2 WHERE kind = $1 AND revoked_ms IS NULL
