SELECT
    v.model_id, v.number, v.project_id, v.source, v.run_id, v.step_run_id, v.content_digest,
    v.signature, v.flavor, v.manifest, v.state, v.description, v.user_id, v.wall_ms, v.project_ms,
    v.updated_ms
FROM model_aliases AS a
JOIN model_versions AS v ON v.model_id = a.model_id AND v.number = a.number
WHERE a.model_id = $1 AND a.alias = $2
