UPDATE pipeline_runs SET holder = $2 WHERE id = $1
