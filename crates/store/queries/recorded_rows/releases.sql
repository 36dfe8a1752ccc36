SELECT
    r.project_id, r.digest, r.model_id, r.number, r.body, r.ledger_head, r.wall_ms, r.project_ms,
    e.sequence AS entry_sequence, e.actor AS entry_actor, e.wall_ms AS entry_wall_ms,
    e.project_ms AS entry_project_ms, p.body AS entry_payload
FROM releases AS r
LEFT JOIN ledger_entries AS e
    ON e.chain = $1 AND e.noun = 'release' AND e.subject = r.digest
    AND e.sequence = (
        SELECT MIN(f.sequence)
        FROM ledger_entries AS f
        WHERE f.chain = $1 AND f.noun = 'release' AND f.subject = r.digest
    )
LEFT JOIN ledger_payloads AS p ON p.chain = e.chain AND p.sequence = e.sequence
WHERE r.project_id = $1 AND r.digest > $2
ORDER BY r.digest
LIMIT $3
