-- A principal has any number of grants, each with the kind of its scope and its origin; none is stored twice.
CREATE TABLE grants_with_scope (
    id           TEXT PRIMARY KEY,
    principal_id TEXT NOT NULL REFERENCES principals (id),
    role         TEXT NOT NULL,
    scope_kind   TEXT NOT NULL,    -- server, project, experiment, model, endpoint
    project_id   TEXT REFERENCES projects (id),  -- null: the scope is not inside one project
    scope_id     TEXT,             -- which experiment, model or endpoint
    origin       TEXT NOT NULL,    -- direct, directory
    created_ms   BIGINT NOT NULL
);
INSERT INTO grants_with_scope (id, principal_id, role, scope_kind, project_id, scope_id, origin, created_ms)
SELECT
    MIN(id),
    principal_id,
    role,
    COALESCE(scope_kind, CASE WHEN project_id IS NULL THEN 'server' ELSE 'project' END),
    project_id,
    scope_id,
    'direct',
    MIN(created_ms)
FROM grants
GROUP BY principal_id, role, scope_kind, project_id, scope_id;
DROP TABLE grants;
ALTER TABLE grants_with_scope RENAME TO grants;
CREATE UNIQUE INDEX grants_unique
ON grants (principal_id, role, scope_kind, COALESCE(project_id, ''), COALESCE(scope_id, ''), origin);
CREATE INDEX grants_by_project ON grants (project_id);
