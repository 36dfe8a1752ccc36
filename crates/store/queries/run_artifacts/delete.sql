DELETE FROM run_artifacts
WHERE run_number = (SELECT number FROM runs WHERE run_id = $1)
    AND (path = $2 OR (path >= $3 AND path < $4))
