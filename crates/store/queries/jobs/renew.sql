UPDATE jobs SET lease_until_ms = $3
WHERE id = $1 AND state = 'running' AND lease_holder = $2
