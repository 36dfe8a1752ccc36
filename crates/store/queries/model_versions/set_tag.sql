INSERT INTO model_version_tags (model_id, number, key, value)
VALUES ($1, $2, $3, $4)
ON CONFLICT (model_id, number, key) DO UPDATE SET value = excluded.value
