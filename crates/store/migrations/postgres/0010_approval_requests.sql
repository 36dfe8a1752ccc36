-- A release that needs approvals waits in a request; an approval answers one request. A refusal ends when a person lifts it.
CREATE TABLE approval_requests (
    id             TEXT COLLATE "C" PRIMARY KEY,
    project_id     TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    decision_id    TEXT COLLATE "C" NOT NULL REFERENCES decisions (id),
    release_digest TEXT COLLATE "C" NOT NULL,
    number         BIGINT NOT NULL,  -- of the model version
    roles          TEXT COLLATE "C" NOT NULL,    -- JSON: the roles that must approve
    cause          TEXT COLLATE "C" NOT NULL,    -- JSON
    requested_by   TEXT COLLATE "C" NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,    -- waiting, approved, released, failed, rejected, replaced
    closed_by      TEXT COLLATE "C",
    reason         TEXT COLLATE "C",
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    closed_ms      BIGINT
);
CREATE INDEX approval_requests_open ON approval_requests (project_id, id) WHERE state IN ('waiting', 'approved');
CREATE INDEX approval_requests_waiting ON approval_requests (id) WHERE state = 'waiting';
CREATE INDEX approval_requests_by_release ON approval_requests (project_id, release_digest, id);

CREATE TABLE approvals_of_requests (
    id             TEXT COLLATE "C" PRIMARY KEY,
    project_id     TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    request_id     TEXT COLLATE "C" REFERENCES approval_requests (id),  -- null: given before requests were stored
    release_digest TEXT COLLATE "C" NOT NULL,
    role           TEXT COLLATE "C" NOT NULL,
    principal_id   TEXT COLLATE "C" NOT NULL REFERENCES principals (id),
    note           TEXT COLLATE "C",
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

ALTER TABLE refusals ADD COLUMN lifted_by TEXT COLLATE "C";
ALTER TABLE refusals ADD COLUMN lifted_reason TEXT COLLATE "C";
ALTER TABLE refusals ADD COLUMN lifted_ms BIGINT;
