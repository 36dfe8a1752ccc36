INSERT INTO prediction_segments (
    log, number, project_id, endpoint, record_count, digest, state, load_id, dataset_number,
    wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
)
ON CONFLICT DO NOTHING
