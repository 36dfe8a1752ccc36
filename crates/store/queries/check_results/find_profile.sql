SELECT load_id, project_id, dataset_id, body
FROM profiles
WHERE load_id = $1
