-- Bound: the inputs of the given runs, a page of a search.
SELECT i.run_number, i.name, i.digest, d.source_type, d.source, d.schema, d.profile, i.tags
FROM jsonb_array_elements_text(CAST($1 AS TEXT)::jsonb) AS given (value)
JOIN run_inputs AS i ON i.run_number = CAST(given.value AS BIGINT)
JOIN dataset_inputs AS d
    ON d.experiment_id = i.experiment_id AND d.name = i.name AND d.digest = i.digest
ORDER BY i.run_number, i.name, i.digest
