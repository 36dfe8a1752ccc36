SELECT
    d.id, d.project_id, d.pipeline_run_id, d.evidence_id, d.release_digest, d.model_id, d.number,
    d.champion_number, d.verdict, d.body, d.wall_ms, d.project_ms,
    e.sequence AS entry_sequence, e.actor AS entry_actor, e.wall_ms AS entry_wall_ms,
    e.project_ms AS entry_project_ms, p.body AS entry_payload
FROM decisions AS d
LEFT JOIN ledger_entries AS e
    ON e.chain = $1 AND e.noun = 'decision' AND e.subject = d.id
    AND e.sequence = (
        SELECT MIN(f.sequence)
        FROM ledger_entries AS f
        WHERE f.chain = $1 AND f.noun = 'decision' AND f.subject = d.id
    )
LEFT JOIN ledger_payloads AS p ON p.chain = e.chain AND p.sequence = e.sequence
WHERE d.project_id = $1 AND d.id > $2
ORDER BY d.id
LIMIT $3
