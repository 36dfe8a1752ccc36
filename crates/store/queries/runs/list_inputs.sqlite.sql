-- Bound: the inputs of the given runs, a page of a search.
SELECT i.run_number, i.name, i.digest, d.source_type, d.source, d.schema, d.profile, i.tags
FROM json_each($1) AS given
JOIN run_inputs AS i ON i.run_number = given.value
JOIN dataset_inputs AS d
    ON d.experiment_id = i.experiment_id AND d.name = i.name AND d.digest = i.digest
ORDER BY i.run_number, i.name, i.digest
