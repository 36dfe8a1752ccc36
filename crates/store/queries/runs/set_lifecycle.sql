UPDATE runs SET lifecycle = $2, deleted_ms = $3 WHERE run_id = $1
