DELETE FROM servers WHERE id = $1 AND lease_until_ms = $2
