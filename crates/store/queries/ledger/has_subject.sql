SELECT CAST(1 AS BIGINT) AS found
FROM ledger_entries
WHERE chain = $1 AND noun = $2 AND subject = $3
LIMIT 1
