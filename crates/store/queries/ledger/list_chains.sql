-- Bound: one chain for each project, and one of the server.
SELECT chain
FROM ledger_chains
ORDER BY chain
