INSERT INTO model_tags (model_id, key, value)
VALUES ($1, $2, $3)
ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value
