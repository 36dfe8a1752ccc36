UPDATE datasets
SET last_number = $2
WHERE id = $1 AND last_number = $2 - 1
