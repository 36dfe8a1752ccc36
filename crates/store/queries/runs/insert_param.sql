INSERT INTO params (run_number, key, value)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING key, value
