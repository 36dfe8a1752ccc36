SELECT
    id, project_id, dataset_id, origin, origin_id, content_digest, size_bytes, state,
    arrived, passing, set_aside, reasons, staged, message, replaces, replaced_by, number, cause,
    wall_ms, project_ms, settled_ms
FROM loads
WHERE dataset_id = $1 AND id < $2
ORDER BY id DESC
LIMIT $3
