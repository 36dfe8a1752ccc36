INSERT INTO ledger_payloads (chain, sequence, body)
VALUES ($1, $2, $3)
