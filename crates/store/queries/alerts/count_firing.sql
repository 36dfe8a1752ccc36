SELECT COUNT(*) AS firing
FROM alerts
WHERE project_id = $1 AND state <> 'resolved' AND state = 'firing'
