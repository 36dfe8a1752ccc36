UPDATE admin_links SET used_ms = $2
WHERE secret_hash = $1 AND used_ms IS NULL AND expires_ms > $2
