SELECT
    m.id, m.project_id, m.endpoint, m.model_id, m.alias, m.from_number, m.to_number, m.kind,
    m.decision_id, m.release_digest, m.cause, m.actor, m.wall_ms, m.project_ms,
    e.sequence AS entry_sequence, e.actor AS entry_actor, e.wall_ms AS entry_wall_ms,
    e.project_ms AS entry_project_ms, p.body AS entry_payload
FROM promotions AS m
LEFT JOIN ledger_entries AS e
    ON e.chain = $1 AND e.noun = 'promotion' AND e.subject = m.id
    AND e.sequence = (
        SELECT MIN(f.sequence)
        FROM ledger_entries AS f
        WHERE f.chain = $1 AND f.noun = 'promotion' AND f.subject = m.id
    )
LEFT JOIN ledger_payloads AS p ON p.chain = e.chain AND p.sequence = e.sequence
WHERE m.project_id = $1 AND m.id > $2
ORDER BY m.id
LIMIT $3
