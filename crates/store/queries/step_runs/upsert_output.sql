INSERT INTO step_outputs (
    step_run_id, name, kind, digest, reference
)
VALUES (
    $1, $2, $3, $4, $5
)
ON CONFLICT (step_run_id, name) DO UPDATE
SET kind = excluded.kind, digest = excluded.digest, reference = excluded.reference
