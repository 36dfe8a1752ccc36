INSERT INTO run_artifacts (run_number, path, blob_digest, size_bytes, updated_ms)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (run_number, path) DO UPDATE
SET blob_digest = excluded.blob_digest, size_bytes = excluded.size_bytes, updated_ms = excluded.updated_ms
