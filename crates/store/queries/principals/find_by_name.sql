SELECT id, name, kind, is_disabled, created_ms
FROM principals
WHERE name = $1
