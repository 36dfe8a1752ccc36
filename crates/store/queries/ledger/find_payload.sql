SELECT body
FROM ledger_payloads
WHERE chain = $1 AND sequence = $2
