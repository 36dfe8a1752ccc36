INSERT INTO ledger_entries (
    chain, sequence, noun, subject, verb, actor, wall_ms, project_ms, cause, payload_digest, previous, hash
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
