DELETE FROM servers WHERE lease_until_ms <= $1
