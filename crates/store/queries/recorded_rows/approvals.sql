SELECT
    a.id, a.project_id, a.request_id, a.release_digest, a.role, a.principal_id, a.note, a.wall_ms, a.project_ms,
    e.sequence AS entry_sequence, e.actor AS entry_actor, e.wall_ms AS entry_wall_ms,
    e.project_ms AS entry_project_ms, p.body AS entry_payload
FROM approvals AS a
LEFT JOIN ledger_entries AS e
    ON e.chain = $1 AND e.noun = 'approval' AND e.subject = a.id
    AND e.sequence = (
        SELECT MIN(f.sequence)
        FROM ledger_entries AS f
        WHERE f.chain = $1 AND f.noun = 'approval' AND f.subject = a.id
    )
LEFT JOIN ledger_payloads AS p ON p.chain = e.chain AND p.sequence = e.sequence
WHERE a.project_id = $1 AND a.id > $2
ORDER BY a.id
LIMIT $3
