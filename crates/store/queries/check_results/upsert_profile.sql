INSERT INTO profiles (
    load_id, project_id, dataset_id, body
)
VALUES (
    $1, $2, $3, $4
)
ON CONFLICT (load_id) DO UPDATE SET body = excluded.body
