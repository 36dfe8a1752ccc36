SELECT
    id, project_id, kind, payload, unique_key, state, clock, due_ms, attempts, lease_holder,
    lease_until_ms, message, created_ms, settled_ms
FROM jobs
WHERE project_id = $1 AND id < $2
ORDER BY id DESC
LIMIT $3
