INSERT INTO run_contents (run_number, element_sum, is_complete)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
