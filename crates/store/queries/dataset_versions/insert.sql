INSERT INTO dataset_versions (
    dataset_id, number, project_id, delta_version, manifest, row_count, size_bytes, schema, digest,
    row_sum, origin_kind, origin_id, wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
)
ON CONFLICT DO NOTHING
