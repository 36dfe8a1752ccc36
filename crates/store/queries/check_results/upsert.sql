INSERT INTO check_results (
    load_id, name, project_id, dataset_id, severity, verdict, answer, wall_ms
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8
)
ON CONFLICT (load_id, name) DO UPDATE
SET severity = excluded.severity, verdict = excluded.verdict, answer = excluded.answer, wall_ms = excluded.wall_ms
