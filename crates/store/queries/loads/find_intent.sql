SELECT dataset_id, load_id, project_id, number, version, holder, created_ms
FROM load_intents
WHERE dataset_id = $1
