UPDATE refusals
SET lifted_by = $3, lifted_reason = $4, lifted_ms = $5
WHERE project_id = $1 AND number = $2 AND lifted_ms IS NULL
