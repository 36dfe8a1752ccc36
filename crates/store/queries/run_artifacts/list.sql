-- Bound: the artifacts of one folder of a run, which its digest covers as a whole.
SELECT a.path, a.blob_digest, a.size_bytes, a.updated_ms
FROM run_artifacts AS a
JOIN runs AS r ON r.number = a.run_number
WHERE r.run_id = $1 AND a.path >= $2 AND a.path < $3
ORDER BY a.path
