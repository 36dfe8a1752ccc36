INSERT INTO metric_keys (name)
SELECT value FROM json_each($1) WHERE true
ON CONFLICT DO NOTHING
