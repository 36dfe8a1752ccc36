DELETE FROM admin_links WHERE expires_ms <= $1 OR used_ms IS NOT NULL
