SELECT COUNT(*)
FROM jobs
WHERE project_id = $1 AND state IN ('pending', 'running')
    AND ((clock = 'project' AND due_ms <= $2) OR (clock = 'wall' AND due_ms <= $3))
