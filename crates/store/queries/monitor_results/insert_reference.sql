INSERT INTO monitor_references (
    project_id, release_digest, body, wall_ms
)
VALUES (
    $1, $2, $3, $4
)
ON CONFLICT DO NOTHING
