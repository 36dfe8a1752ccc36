DELETE FROM refusals
WHERE project_id = $1 AND endpoint = $2 AND release_digest = $3
