SELECT sequence, hash
FROM ledger_chains
WHERE chain = $1
FOR UPDATE
