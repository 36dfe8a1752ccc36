DELETE FROM jobs
WHERE state IN ('succeeded', 'cancelled') AND settled_ms < $1
