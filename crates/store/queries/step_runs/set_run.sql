UPDATE step_runs SET run_id = $2, runner = $3 WHERE id = $1
