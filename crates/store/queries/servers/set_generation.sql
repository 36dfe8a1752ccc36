INSERT INTO server_endpoints (server_id, project_id, endpoint, generation)
VALUES ($1, $2, $3, $4)
ON CONFLICT (server_id, project_id, endpoint) DO UPDATE SET generation = excluded.generation
