UPDATE jobs
SET state = 'running', lease_holder = $2, lease_until_ms = $3, attempts = attempts + 1
WHERE id IN (
    SELECT j.id
    FROM jobs AS j
    LEFT JOIN projects AS p ON p.id = j.project_id
    WHERE (j.state = 'pending' OR (j.state = 'running' AND j.lease_until_ms <= $1))
        AND j.due_ms <= CASE j.clock WHEN 'project' THEN COALESCE(p.clock_ms, $1) ELSE $1 END
    ORDER BY j.due_ms, j.id
    LIMIT $4
)
RETURNING id, project_id, kind, payload, unique_key, state, clock, due_ms, attempts, lease_holder, lease_until_ms, message, created_ms, settled_ms
