SELECT id, project_id, kind, payload, unique_key, state, clock, due_ms, attempts, lease_holder, lease_until_ms, message,
       created_ms, settled_ms
FROM jobs
WHERE (CAST($1 AS TEXT) IS NULL OR project_id = $1) AND (CAST($2 AS TEXT) IS NULL OR state = $2) AND id < $3
ORDER BY id DESC
LIMIT $4
