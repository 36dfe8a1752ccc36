INSERT INTO metric_keys (name)
SELECT value FROM jsonb_array_elements_text(CAST($1 AS TEXT)::jsonb) AS given (value)
ON CONFLICT DO NOTHING
