UPDATE projects SET file_digest = $2 WHERE id = $1
