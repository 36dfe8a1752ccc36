DELETE FROM tokens WHERE expires_ms < $1 OR revoked_ms < $1
