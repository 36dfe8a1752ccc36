INSERT INTO project_files (project_id, digest, body, submitted_ms, submitted_by, approver)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (project_id, digest) DO UPDATE
SET body = excluded.body, approver = COALESCE(project_files.approver, excluded.approver)
