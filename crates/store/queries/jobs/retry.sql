UPDATE jobs
SET state = $3, message = $4, due_ms = $5, lease_holder = NULL, lease_until_ms = NULL
WHERE id = $1 AND state = 'running' AND lease_holder = $2
