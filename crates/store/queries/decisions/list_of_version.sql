SELECT
    id, project_id, pipeline_run_id, evidence_id, release_digest, model_id, number, champion_number,
    verdict, body, wall_ms, project_ms
FROM decisions
WHERE model_id = $1 AND number = $2
ORDER BY id DESC
LIMIT $3
