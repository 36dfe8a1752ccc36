-- Bound: one load of each declared dataset.
SELECT
    l.id, l.project_id, l.dataset_id, l.origin, l.origin_id, l.content_digest, l.size_bytes, l.state,
    l.arrived, l.passing, l.set_aside, l.reasons, l.staged, l.message, l.replaces, l.replaced_by, l.number, l.cause,
    l.wall_ms, l.project_ms, l.settled_ms
FROM datasets AS d
JOIN loads AS l ON l.id = (SELECT MAX(latest.id) FROM loads AS latest WHERE latest.dataset_id = d.id)
WHERE d.project_id = $1
ORDER BY d.name
