-- Bound: people and services of a server, each added by an administrator.
SELECT id, name, kind, is_disabled, created_ms
FROM principals
ORDER BY name
