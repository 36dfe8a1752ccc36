-- Bound: one row for each project.
SELECT project_id, COUNT(*) AS count
FROM loads
WHERE state IN ('staged', 'held', 'committing') AND state = 'held'
GROUP BY project_id
