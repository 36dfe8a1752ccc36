SELECT c.run_number, c.element_sum, c.is_complete
FROM run_contents AS c
JOIN runs AS r ON r.number = c.run_number
WHERE r.run_id = $1
