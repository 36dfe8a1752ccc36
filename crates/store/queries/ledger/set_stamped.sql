INSERT INTO ledger_stamps (chain, sequence)
VALUES ($1, $2)
ON CONFLICT (chain) DO UPDATE SET sequence = excluded.sequence
