UPDATE loads
SET state = $3, message = $4, settled_ms = $5
WHERE id = $1 AND state = $2
