INSERT INTO decisions (
    id, project_id, pipeline_run_id, evidence_id, release_digest, model_id, number, champion_number,
    verdict, body, wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
)
ON CONFLICT DO NOTHING
