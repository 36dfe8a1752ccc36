SELECT project_id, endpoint, release_digest, number, cause, wall_ms, project_ms
FROM refusals
WHERE project_id = $1 AND number = $2 AND lifted_ms IS NULL
ORDER BY wall_ms DESC
LIMIT 1
