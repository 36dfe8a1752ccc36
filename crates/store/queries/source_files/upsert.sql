INSERT INTO source_files (
    dataset_id, path, size_bytes, modified_ns, etag, content_digest, load_id, seen_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8
)
ON CONFLICT (dataset_id, path) DO UPDATE
SET size_bytes = excluded.size_bytes, modified_ns = excluded.modified_ns, etag = excluded.etag,
    content_digest = excluded.content_digest, load_id = excluded.load_id, seen_ms = excluded.seen_ms
