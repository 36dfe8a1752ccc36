UPDATE runs SET lifecycle = $2, deleted_ms = $3
WHERE experiment_id = $1 AND lifecycle <> $2
