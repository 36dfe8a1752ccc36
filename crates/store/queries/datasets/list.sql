-- Bound: the datasets of a project, declared in its project file.
SELECT id, project_id, name, kind, mode, key_columns, table_path, last_number, created_ms
FROM datasets
WHERE project_id = $1
ORDER BY name
