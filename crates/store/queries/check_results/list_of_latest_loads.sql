-- Bound: the declared checks of the declared datasets.
SELECT c.load_id, c.name, c.project_id, c.dataset_id, c.severity, c.verdict, c.answer, c.wall_ms
FROM datasets AS d
JOIN check_results AS c ON c.load_id = (SELECT MAX(latest.id) FROM loads AS latest WHERE latest.dataset_id = d.id)
WHERE d.project_id = $1
ORDER BY c.load_id, c.name
