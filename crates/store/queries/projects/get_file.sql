SELECT project_id, digest, body, submitted_ms, submitted_by, approver
FROM project_files
WHERE project_id = $1 AND digest = $2
