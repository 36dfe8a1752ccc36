UPDATE alerts SET state = $3, settled_ms = $4 WHERE id = $1 AND state = $2
