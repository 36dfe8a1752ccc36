-- Bound: one row for each state.
SELECT state, COUNT(*) AS job_count
FROM jobs
WHERE state IN ('pending', 'running', 'held')
GROUP BY state
ORDER BY state
