SELECT id, project_id, kind, payload, unique_key, state, clock, due_ms, attempts, lease_holder, lease_until_ms, message,
       created_ms, settled_ms
FROM jobs
WHERE kind IN (SELECT value COLLATE "C" FROM jsonb_array_elements_text(CAST($1 AS jsonb)) AS given (value))
  AND (
      state = 'pending' AND clock = 'wall' AND due_ms <= $2
      OR state = 'pending' AND clock = 'project' AND project_id = $3 AND due_ms <= $4
      OR state = 'running' AND lease_until_ms <= $2
  )
ORDER BY due_ms, id
LIMIT $5
FOR UPDATE SKIP LOCKED
