INSERT INTO admin_links (secret_hash, created_ms, expires_ms)
VALUES ($1, $2, $3)
