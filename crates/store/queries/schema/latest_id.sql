SELECT MAX(latest.id) AS id
FROM (
    SELECT MAX(id) AS id FROM pipeline_runs
    UNION ALL SELECT MAX(id) FROM step_runs
    UNION ALL SELECT MAX(id) FROM loads
    UNION ALL SELECT MAX(id) FROM alerts
    UNION ALL SELECT MAX(id) FROM jobs
    UNION ALL SELECT MAX(id) FROM attempts
    UNION ALL SELECT MAX(id) FROM decisions
    UNION ALL SELECT MAX(id) FROM promotions
    UNION ALL SELECT MAX(id) FROM approvals
    UNION ALL SELECT MAX(id) FROM approval_requests
    UNION ALL SELECT MAX(id) FROM evidence
    UNION ALL SELECT MAX(id) FROM datasets
    UNION ALL SELECT MAX(id) FROM registered_models
    UNION ALL SELECT MAX(id) FROM principals
    UNION ALL SELECT MAX(id) FROM grants
    UNION ALL SELECT MAX(id) FROM tokens
    UNION ALL SELECT MAX(id) FROM projects
    UNION ALL SELECT MAX(id) FROM servers
) AS latest
