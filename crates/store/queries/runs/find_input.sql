SELECT i.name, i.digest, d.source_type, d.source, d.schema, d.profile, i.tags
FROM run_inputs AS i
JOIN dataset_inputs AS d
    ON d.experiment_id = i.experiment_id AND d.name = i.name AND d.digest = i.digest
WHERE i.run_number = $1 AND i.name = $2 AND i.digest = $3
