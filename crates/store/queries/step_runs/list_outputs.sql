-- Bound: the outputs of one attempt, declared in the project file.
SELECT step_run_id, name, kind, digest, reference
FROM step_outputs
WHERE step_run_id = $1
ORDER BY name
