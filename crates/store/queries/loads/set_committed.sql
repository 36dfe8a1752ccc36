UPDATE loads
SET state = $3, number = $4, passing = $5, set_aside = $6, staged = NULL, settled_ms = $7
WHERE id = $1 AND state = $2
