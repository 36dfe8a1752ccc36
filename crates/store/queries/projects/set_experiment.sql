UPDATE projects SET experiment_id = $2 WHERE id = $1
