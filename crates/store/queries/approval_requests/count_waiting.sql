-- Bound: one row for each project.
SELECT project_id, COUNT(*) AS count
FROM approval_requests
WHERE state = 'waiting'
GROUP BY project_id
