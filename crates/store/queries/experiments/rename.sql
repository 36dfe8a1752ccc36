UPDATE experiments SET name = $2, updated_ms = $3
WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM experiments WHERE name = $2 AND id <> $1)
