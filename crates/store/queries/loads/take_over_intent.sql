UPDATE load_intents SET holder = $3 WHERE dataset_id = $1 AND holder = $2
