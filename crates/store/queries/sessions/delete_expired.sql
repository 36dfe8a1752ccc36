DELETE FROM sessions WHERE expires_ms <= $1
