SELECT MIN(project_ms) FROM promotions WHERE project_id = $1 AND endpoint = $2
