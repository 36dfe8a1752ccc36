-- Bound: servers whose lease has not expired.
SELECT id, address, version, is_serving, started_ms, lease_until_ms
FROM servers
WHERE lease_until_ms > $1
ORDER BY id
