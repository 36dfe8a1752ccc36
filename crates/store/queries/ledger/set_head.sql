UPDATE ledger_chains SET sequence = $2, hash = $3 WHERE chain = $1
