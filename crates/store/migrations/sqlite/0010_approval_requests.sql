-- A release that needs approvals waits in a request; an approval answers one request. A refusal ends when a person lifts it.
CREATE TABLE approval_requests (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    decision_id    TEXT NOT NULL REFERENCES decisions (id),
    release_digest TEXT NOT NULL,
    number         BIGINT NOT NULL,  -- of the model version
    roles          TEXT NOT NULL,    -- JSON: the roles that must approve
    cause          TEXT NOT NULL,    -- JSON
    requested_by   TEXT NOT NULL,
    state          TEXT NOT NULL,    -- waiting, approved, released, failed, rejected, replaced
    closed_by      TEXT,
    reason         TEXT,
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    closed_ms      BIGINT
);
CREATE INDEX approval_requests_open ON approval_requests (project_id, id) WHERE state IN ('waiting', 'approved');
CREATE INDEX approval_requests_waiting ON approval_requests (id) WHERE state = 'waiting';
CREATE INDEX approval_requests_by_release ON approval_requests (project_id, release_digest, id);

CREATE TABLE approvals_of_requests (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    request_id     TEXT REFERENCES approval_requests (id),  -- null: given before requests were stored
    release_digest TEXT NOT NULL,
    role           TEXT NOT NULL,
    principal_id   TEXT NOT NULL REFERENCES principals (id),
    note           TEXT,
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    UNIQUE (request_id, role, principal_id)
);
INSERT INTO approvals_of_requests (
    id, project_id, request_id, release_digest, role, principal_id, note, wall_ms, project_ms
)
SELECT id, project_id, NULL, release_digest, role, principal_id, note, wall_ms, project_ms
FROM approvals;
DROP TABLE approvals;
ALTER TABLE approvals_of_requests RENAME TO approvals;
CREATE INDEX approvals_by_release ON approvals (project_id, release_digest, id);

ALTER TABLE refusals ADD COLUMN lifted_by TEXT;
ALTER TABLE refusals ADD COLUMN lifted_reason TEXT;
ALTER TABLE refusals ADD COLUMN lifted_ms BIGINT;
