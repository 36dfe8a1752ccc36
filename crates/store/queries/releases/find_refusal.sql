SELECT project_id, endpoint, release_digest, number, cause, wall_ms, project_ms
FROM refusals
WHERE project_id = $1 AND endpoint = $2 AND number = $3
ORDER BY wall_ms DESC
LIMIT 1
