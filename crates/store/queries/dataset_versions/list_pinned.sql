SELECT
    v.dataset_id, v.number, v.project_id, v.delta_version, v.manifest, v.row_count, v.size_bytes,
    v.schema, v.digest, v.row_sum, v.origin_kind, v.origin_id, v.wall_ms, v.project_ms
FROM dataset_versions AS v
WHERE v.dataset_id = $1 AND v.number > $3 AND EXISTS (
    SELECT 1 FROM dataset_pins AS p
    WHERE p.dataset_id = v.dataset_id AND p.number = v.number
        AND (p.until_project_ms IS NULL OR p.until_project_ms > $2)
)
ORDER BY v.number
LIMIT $4
