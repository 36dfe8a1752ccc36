SELECT MIN(CASE WHEN state = 'running' THEN lease_until_ms ELSE due_ms END) AS next_ms
FROM jobs
WHERE state IN ('pending', 'running') AND clock = 'wall'
  AND kind IN (SELECT value FROM json_each($1))
