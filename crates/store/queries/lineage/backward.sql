WITH RECURSIVE walk (from_kind, from_id, to_kind, to_id, depth) AS (
    SELECT from_kind, from_id, to_kind, to_id, CAST(1 AS BIGINT)
    FROM lineage
    WHERE project_id = $1 AND to_kind = $2 AND to_id = $3
    UNION
    SELECT edge.from_kind, edge.from_id, edge.to_kind, edge.to_id, walk.depth + 1
    FROM walk
    JOIN lineage AS edge
        ON edge.project_id = $1 AND edge.to_kind = walk.from_kind AND edge.to_id = walk.from_id
    WHERE walk.depth < $4
)
SELECT from_kind, from_id, to_kind, to_id
FROM walk
GROUP BY from_kind, from_id, to_kind, to_id
ORDER BY MIN(depth), from_kind, from_id, to_kind, to_id
LIMIT $5
