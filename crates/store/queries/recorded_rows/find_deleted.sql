SELECT e.sequence, e.noun, e.subject
FROM ledger_entries AS e
WHERE e.chain = $1 AND e.noun IN ('decision', 'release', 'approval', 'promotion') AND (
    (e.noun = 'decision'
        AND NOT EXISTS (SELECT 1 FROM decisions AS d WHERE d.id = e.subject AND d.project_id = $1))
    OR (e.noun = 'release' AND e.verb = 'create'
        AND NOT EXISTS (SELECT 1 FROM releases AS r WHERE r.digest = e.subject AND r.project_id = $1))
    OR (e.noun = 'approval' AND e.verb = 'create'
        AND NOT EXISTS (SELECT 1 FROM approvals AS a WHERE a.id = e.subject AND a.project_id = $1))
    OR (e.noun = 'promotion'
        AND NOT EXISTS (SELECT 1 FROM promotions AS m WHERE m.id = e.subject AND m.project_id = $1))
)
ORDER BY e.sequence
LIMIT 1
