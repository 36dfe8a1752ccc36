-- Bound: jobs that were given up; a person requeues or cancels each.
SELECT id, project_id, kind, payload, unique_key, state, clock, due_ms, attempts, lease_holder, lease_until_ms, message,
       created_ms, settled_ms
FROM jobs
WHERE project_id = $1 AND state = 'held'
ORDER BY id
