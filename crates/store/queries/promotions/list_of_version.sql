SELECT
    id, project_id, endpoint, model_id, alias, from_number, to_number, kind, decision_id,
    release_digest, cause, actor, wall_ms, project_ms
FROM promotions
WHERE model_id = $1 AND (to_number = $2 OR from_number = $2)
ORDER BY id DESC
LIMIT $3
