-- Bound: projects are made one by one, by people; a server keeps the state of each in memory.
SELECT id, name, experiment_id, file_digest, clock_ms, created_ms
FROM projects
ORDER BY name
