-- Bound: the outputs of one attempt at each step of a project.
SELECT o.step_run_id, o.name, o.kind, o.digest, o.reference
FROM step_outputs AS o
JOIN step_runs AS r ON r.id = o.step_run_id
WHERE r.project_id = $1 AND r.id IN (
    SELECT MAX(id)
    FROM step_runs
    WHERE project_id = $1 AND state = 'succeeded'
    GROUP BY step
)
ORDER BY o.step_run_id, o.name
