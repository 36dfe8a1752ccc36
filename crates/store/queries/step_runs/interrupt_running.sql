UPDATE step_runs SET state = 'interrupted', ended_ms = $2
WHERE pipeline_run_id = $1 AND state = 'running'
