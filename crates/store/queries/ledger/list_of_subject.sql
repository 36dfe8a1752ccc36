SELECT
    chain, sequence, noun, subject, verb, actor, wall_ms, project_ms, cause, payload_digest,
    previous, hash
FROM ledger_entries
WHERE chain = $1 AND noun = $2 AND subject = $3
ORDER BY sequence DESC
LIMIT $4
