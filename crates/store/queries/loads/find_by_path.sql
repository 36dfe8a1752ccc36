SELECT
    id, project_id, dataset_id, origin, origin_id, content_digest, size_bytes, state,
    arrived, passing, set_aside, reasons, staged, message, replaces, replaced_by, number, cause,
    wall_ms, project_ms, settled_ms
FROM loads
WHERE state <> 'failed' AND id IN (SELECT load_id FROM load_files WHERE dataset_id = $1 AND path = $2)
ORDER BY id DESC
LIMIT 1
