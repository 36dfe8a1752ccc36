INSERT INTO project_files (project_id, digest, body, submitted_ms, submitted_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (project_id, digest) DO UPDATE SET body = excluded.body
