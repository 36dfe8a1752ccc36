-- Bound: loads whose rows are in the staging area; held ones wait for a person.
SELECT id
FROM loads
WHERE state IN ('staged', 'held', 'committing')
ORDER BY id
