UPDATE project_files SET approver = $3
WHERE project_id = $1 AND digest = $2 AND approver IS NULL
