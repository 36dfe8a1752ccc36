SELECT project_id, release_digest, body, wall_ms
FROM monitor_references
WHERE project_id = $1 AND release_digest = $2
