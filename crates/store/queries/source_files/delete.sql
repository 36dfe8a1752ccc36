DELETE FROM source_files WHERE dataset_id = $1 AND path = $2
