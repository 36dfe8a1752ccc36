UPDATE runs SET sealed_ms = $2 WHERE run_id = $1
