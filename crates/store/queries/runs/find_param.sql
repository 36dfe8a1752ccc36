SELECT key, value
FROM params
WHERE run_number = $1 AND key = $2
