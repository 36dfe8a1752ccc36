-- Bound: the endpoints of a project, declared in its project file.
SELECT
    project_id, name, model_id, alias, champion_number, champion_since_ms, canary_number,
    canary_state, canary_started_wall_ms, canary_started_ms, canary_share, canary_decision_id,
    canary_release_digest, config, generation, updated_ms
FROM endpoints
WHERE project_id = $1
ORDER BY name
