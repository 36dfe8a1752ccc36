UPDATE principals SET name = name
WHERE id = $1
