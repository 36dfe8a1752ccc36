SELECT
    id, project_id, pipeline_run_id, evidence_id, release_digest, model_id, number, champion_number,
    verdict, body, wall_ms, project_ms
FROM decisions
WHERE project_id = $1 AND release_digest = $2 AND evidence_id = $3
ORDER BY id DESC
LIMIT 1
