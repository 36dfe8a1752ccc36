SELECT
    dataset_id, number, project_id, delta_version, manifest, row_count, size_bytes, schema, digest,
    row_sum, origin_kind, origin_id, wall_ms, project_ms
FROM dataset_versions
WHERE dataset_id = $1 AND number = $2
