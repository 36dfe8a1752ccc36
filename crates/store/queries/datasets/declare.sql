UPDATE datasets SET mode = $2, key_columns = $3 WHERE id = $1
