SELECT f.dataset_id, f.path, f.size_bytes, f.modified_ns, f.etag, f.content_digest, f.load_id, f.seen_ms
FROM source_files AS f
JOIN datasets AS d ON d.id = f.dataset_id
WHERE d.project_id = $1
ORDER BY f.dataset_id, f.path
