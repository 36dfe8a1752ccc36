INSERT INTO tags (run_number, key, value)
VALUES ($1, $2, $3)
ON CONFLICT (run_number, key) DO UPDATE SET value = excluded.value
