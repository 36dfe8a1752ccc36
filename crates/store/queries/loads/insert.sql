INSERT INTO loads (
    id, project_id, dataset_id, origin, origin_id, content_digest, size_bytes, state,
    arrived, passing, set_aside, reasons, staged, message, replaces, replaced_by, number, cause,
    wall_ms, project_ms, settled_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21
)
ON CONFLICT DO NOTHING
