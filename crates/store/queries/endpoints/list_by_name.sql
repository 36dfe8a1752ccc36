-- Bound: at most one endpoint of a name in each project.
SELECT
    project_id, name, model_id, alias, champion_number, champion_since_ms, canary_number,
    canary_state, canary_started_wall_ms, canary_started_ms, canary_share, canary_decision_id,
    canary_release_digest, config, generation, updated_ms
FROM endpoints
WHERE name = $1
ORDER BY project_id
