-- Bound: one row for each project.
SELECT project_id, COUNT(*) AS count
FROM alerts
WHERE state <> 'resolved' AND state = 'firing'
GROUP BY project_id
