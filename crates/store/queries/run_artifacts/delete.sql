DELETE FROM run_artifacts
WHERE run_number = $1 AND (path = $2 OR (path >= $3 AND path < $4))
RETURNING path, blob_digest, size_bytes, updated_ms
