UPDATE approval_requests
SET state = state
WHERE id = $1 AND state = 'waiting'
