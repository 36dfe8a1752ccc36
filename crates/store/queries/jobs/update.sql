UPDATE jobs
SET state = $2, due_ms = $3, attempts = $4, lease_holder = $5, lease_until_ms = $6, message = $7, settled_ms = $8
WHERE id = $1
