UPDATE run_contents
SET element_sum = $2, is_complete = $3
WHERE run_number = $1
