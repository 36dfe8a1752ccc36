UPDATE experiments SET name = $2, updated_ms = $3
WHERE id = $1 AND NOT EXISTS (
    SELECT 1
    FROM experiments AS other
    WHERE other.project_id = experiments.project_id AND other.name = $2 AND other.id <> $1
)
