SELECT run_number, element_sum, revision
FROM run_contents
WHERE run_number = $1
FOR UPDATE
