UPDATE attempts
SET server_id = $2, deaths = $3, wall_ms = $4
WHERE id = $1
