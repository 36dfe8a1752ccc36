SELECT chain
FROM ledger_chains
ORDER BY chain
