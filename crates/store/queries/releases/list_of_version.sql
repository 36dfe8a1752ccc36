SELECT project_id, digest, model_id, number, body, ledger_head, wall_ms, project_ms
FROM releases
WHERE model_id = $1 AND number = $2
ORDER BY wall_ms DESC, digest
LIMIT $3
