UPDATE jobs
SET state = $4, message = COALESCE($5, message), settled_ms = $6, lease_holder = NULL, lease_until_ms = NULL
WHERE id = $1 AND state = $2 AND COALESCE(lease_holder, '') = COALESCE($3, '')
