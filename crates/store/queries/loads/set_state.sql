UPDATE loads
SET state = $3, message = COALESCE($4, message), settled_ms = $5
WHERE id = $1 AND state = $2
