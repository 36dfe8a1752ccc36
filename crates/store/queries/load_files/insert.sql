INSERT INTO load_files (load_id, ordinal, dataset_id, path, position, content_digest)
VALUES ($1, $2, $3, $4, $5, $6)
