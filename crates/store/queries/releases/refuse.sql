INSERT INTO refusals (
    project_id, endpoint, release_digest, number, cause, wall_ms, project_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7
)
ON CONFLICT (project_id, endpoint, release_digest) DO UPDATE
SET
    cause = excluded.cause, wall_ms = excluded.wall_ms, project_ms = excluded.project_ms,
    lifted_by = NULL, lifted_reason = NULL, lifted_ms = NULL
