INSERT INTO datasets (
    id, project_id, name, kind, mode, key_columns, table_path, last_number, created_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9
)
ON CONFLICT DO NOTHING
