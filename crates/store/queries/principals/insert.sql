INSERT INTO principals (
    id, name, kind, is_disabled, created_ms
)
VALUES (
    $1, $2, $3, $4, $5
)
ON CONFLICT DO NOTHING
