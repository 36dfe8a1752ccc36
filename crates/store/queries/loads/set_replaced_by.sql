UPDATE loads SET replaced_by = $2 WHERE id = $1
