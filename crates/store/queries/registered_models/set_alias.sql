INSERT INTO model_aliases (model_id, alias, number, updated_ms)
VALUES ($1, $2, $3, $4)
ON CONFLICT (model_id, alias) DO UPDATE SET number = excluded.number, updated_ms = excluded.updated_ms
