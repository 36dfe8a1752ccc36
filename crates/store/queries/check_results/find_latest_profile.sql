SELECT p.load_id, p.project_id, p.dataset_id, p.body
FROM loads AS l
JOIN profiles AS p ON p.load_id = l.id
WHERE l.dataset_id = $1 AND l.state = 'committed'
ORDER BY l.id DESC
LIMIT 1
