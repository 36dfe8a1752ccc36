-- Bound: one version of each declared dataset.
SELECT
    v.dataset_id, v.number, v.project_id, v.delta_version, v.manifest, v.row_count, v.size_bytes,
    v.schema, v.digest, v.row_sum, v.origin_kind, v.origin_id, v.wall_ms, v.project_ms
FROM datasets AS d
JOIN dataset_versions AS v ON v.dataset_id = d.id AND v.number = d.last_number
WHERE d.project_id = $1
ORDER BY d.name
