UPDATE servers SET lease_until_ms = $2 WHERE id = $1
