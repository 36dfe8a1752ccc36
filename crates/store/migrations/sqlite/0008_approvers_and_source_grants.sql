-- The first approver who submitted the content, released it or approved a release of it; null while there is none.
ALTER TABLE project_files ADD COLUMN approver TEXT;
UPDATE project_files SET approver = submitted_by
WHERE submitted_by IN ('admin', 'host', 'local', 'perennial')
   OR EXISTS (
       SELECT 1
       FROM principals AS p
       JOIN grants AS g ON g.principal_id = p.id
       WHERE p.name = project_files.submitted_by
         AND g.role IN ('approver', 'admin')
         AND g.scope_kind IN ('server', 'project')
         AND (g.project_id IS NULL OR g.project_id = project_files.project_id)
   );

-- The URL prefixes below which sources of a project may read.
CREATE TABLE source_grants (
    project_id TEXT NOT NULL REFERENCES projects (id),
    prefix     TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (project_id, prefix)
);

-- How far the server's chain has stamped the chain of each project.
CREATE TABLE ledger_stamps (
    chain    TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL
);
