-- The name of an experiment is unique in its project. SQLite changes no constraint of a table: the table is made again, and
-- the rows that refer to its rows find the same ones when the migration commits.
PRAGMA defer_foreign_keys = ON;

CREATE TABLE experiments_before (
    id                INTEGER PRIMARY KEY,
    project_id        TEXT NOT NULL,
    name              TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    lifecycle         TEXT NOT NULL,
    created_ms        BIGINT NOT NULL,
    updated_ms        BIGINT NOT NULL
);
INSERT INTO experiments_before (id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms)
SELECT id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms
FROM experiments;
DROP TABLE experiments;

CREATE TABLE experiments (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id        TEXT NOT NULL REFERENCES projects (id),
    name              TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    lifecycle         TEXT NOT NULL,
    created_ms        BIGINT NOT NULL,
    updated_ms        BIGINT NOT NULL,
    UNIQUE (project_id, name)
);
CREATE INDEX experiments_by_name ON experiments (name);
INSERT INTO experiments (id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms)
SELECT id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms
FROM experiments_before
ORDER BY id;
DROP TABLE experiments_before;
