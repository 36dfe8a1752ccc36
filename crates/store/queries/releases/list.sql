SELECT project_id, digest, model_id, number, body, ledger_head, wall_ms, project_ms
FROM releases
WHERE project_id = $1
ORDER BY (
    SELECT MIN(decisions.id)
    FROM decisions
    WHERE decisions.project_id = releases.project_id AND decisions.release_digest = releases.digest
) DESC NULLS LAST, wall_ms DESC, digest
LIMIT $2
