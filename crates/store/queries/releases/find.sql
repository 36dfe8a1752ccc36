SELECT project_id, digest, model_id, number, body, ledger_head, wall_ms, project_ms
FROM releases
WHERE project_id = $1 AND digest = $2
