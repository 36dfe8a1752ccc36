SELECT COUNT(*)
FROM servers AS s
LEFT JOIN server_endpoints AS e ON e.server_id = s.id AND e.project_id = $1 AND e.endpoint = $2
WHERE s.is_serving AND s.lease_until_ms > $4 AND COALESCE(e.generation, -1) < $3
