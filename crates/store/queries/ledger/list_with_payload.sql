SELECT
    e.chain, e.sequence, e.noun, e.subject, e.verb, e.actor, e.wall_ms, e.project_ms, e.cause,
    e.payload_digest, e.previous, e.hash, p.body
FROM ledger_entries AS e
LEFT JOIN ledger_payloads AS p ON p.chain = e.chain AND p.sequence = e.sequence
WHERE e.chain = $1 AND e.sequence > $2 AND e.sequence <= $3
ORDER BY e.sequence
LIMIT $4
