UPDATE approval_requests
SET state = $3, closed_by = COALESCE($4, closed_by), reason = $5, closed_ms = $6
WHERE id = $1 AND state = $2
