-- Bound: one chain for each project.
SELECT c.chain, c.sequence, c.hash
FROM ledger_chains AS c
LEFT JOIN ledger_stamps AS s ON s.chain = c.chain
WHERE c.chain <> 'server' AND c.sequence > COALESCE(s.sequence, 0)
ORDER BY c.chain
