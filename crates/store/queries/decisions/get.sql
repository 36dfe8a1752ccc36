SELECT
    id, project_id, pipeline_run_id, evidence_id, release_digest, model_id, number, champion_number,
    verdict, body, wall_ms, project_ms
FROM decisions
WHERE id = $1
