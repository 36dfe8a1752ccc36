DELETE FROM sessions WHERE principal_id = $1
