DELETE FROM load_intents WHERE dataset_id = $1 AND load_id = $2
