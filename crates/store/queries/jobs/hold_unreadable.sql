UPDATE jobs
SET state = 'held', message = $2, lease_holder = NULL, lease_until_ms = NULL, settled_ms = $3
WHERE id = $1
