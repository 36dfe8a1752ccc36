-- Bound: an administrator adds each by hand, or it stands in the project file.
SELECT project_id, prefix, granted_by, created_ms
FROM source_grants
WHERE project_id = $1
ORDER BY prefix
