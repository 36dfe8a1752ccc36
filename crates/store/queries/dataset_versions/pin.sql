INSERT INTO dataset_pins (dataset_id, number, holder_kind, holder_id, until_project_ms)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (dataset_id, number, holder_kind, holder_id) DO UPDATE SET until_project_ms = excluded.until_project_ms
