UPDATE prediction_segments
SET state = $4, load_id = COALESCE($5, load_id), dataset_number = COALESCE($6, dataset_number)
WHERE log = $1 AND number = $2 AND state = $3
