INSERT INTO releases (
    project_id, digest, model_id, number, body, ledger_head, wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8
)
ON CONFLICT (project_id, digest) DO NOTHING
