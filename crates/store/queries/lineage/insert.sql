INSERT INTO lineage (project_id, from_kind, from_id, to_kind, to_id, wall_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
