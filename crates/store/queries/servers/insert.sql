INSERT INTO servers (
    id, address, version, is_serving, started_ms, lease_until_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6
)
ON CONFLICT DO NOTHING
