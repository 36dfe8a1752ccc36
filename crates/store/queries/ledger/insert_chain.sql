INSERT INTO ledger_chains (chain, sequence, hash)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
