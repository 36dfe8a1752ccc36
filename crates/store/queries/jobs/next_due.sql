SELECT MIN(due_ms)
FROM jobs
WHERE project_id = $1 AND clock = 'project' AND state IN ('pending', 'running')
