-- Bound: one server, or a few for a moment while they start.
-- Bound: servers whose lease has not expired.
SELECT id, address, version, is_serving, started_ms, lease_until_ms
FROM servers
ORDER BY id
