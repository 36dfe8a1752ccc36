UPDATE jobs SET state = 'pending', lease_holder = NULL, lease_until_ms = NULL
WHERE state = 'running' AND lease_holder = $1
