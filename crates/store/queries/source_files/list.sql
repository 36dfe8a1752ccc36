-- Bound: the files of one source; the listing of a source has at most 100,000.
SELECT dataset_id, path, size_bytes, modified_ns, etag, content_digest, load_id, seen_ms
FROM source_files
WHERE dataset_id = $1
ORDER BY path
