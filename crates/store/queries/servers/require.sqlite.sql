SELECT 1 FROM servers WHERE id = $1
