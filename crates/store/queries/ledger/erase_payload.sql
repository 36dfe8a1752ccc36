UPDATE ledger_payloads SET body = NULL, erased_ms = $3
WHERE chain = $1 AND sequence = $2
