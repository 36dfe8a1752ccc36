UPDATE projects SET clock_ms = $2 WHERE id = $1
