INSERT INTO events (pipeline_run_id, sequence, body, wall_ms)
VALUES ($1, $2, $3, $4)
