-- Bound: the checks of the loads since one load, which the caller takes from a page of loads.
SELECT load_id, name, project_id, dataset_id, severity, verdict, answer, wall_ms
FROM check_results
WHERE dataset_id = $1 AND load_id >= $2
ORDER BY load_id, name
