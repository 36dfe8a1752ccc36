UPDATE principals SET is_disabled = $2 WHERE id = $1
