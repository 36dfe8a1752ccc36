INSERT INTO run_contents (run_number, element_sum, revision)
VALUES ($1, $2, $3)
ON CONFLICT (run_number) DO UPDATE SET element_sum = excluded.element_sum, revision = excluded.revision
