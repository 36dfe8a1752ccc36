SELECT f.project_id, f.digest, f.body, f.submitted_ms, f.submitted_by, f.approver
FROM projects AS p
JOIN project_files AS f ON f.project_id = p.id AND f.digest = p.file_digest
WHERE p.id = $1
