-- Bound: runs that have not ended; a server resumes each of them at its start.
SELECT
    id, project_id, kind, state, cause, file_digest, options, holder, message, wall_ms, project_ms,
    started_ms, ended_ms
FROM pipeline_runs
WHERE state IN ('pending', 'running', 'interrupted')
ORDER BY id
