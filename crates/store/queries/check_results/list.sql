-- Bound: the checks of one load, declared in its project file.
SELECT load_id, name, project_id, dataset_id, severity, verdict, answer, wall_ms
FROM check_results
WHERE load_id = $1
ORDER BY name
