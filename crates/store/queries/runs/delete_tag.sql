DELETE FROM tags WHERE run_number = $1 AND key = $2
RETURNING key, value
