-- Attempts at work that may end the process of the server.
CREATE TABLE attempts (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    kind        TEXT NOT NULL,    -- load, step, model
    subject     TEXT NOT NULL,    -- the work, identified by its content
    description TEXT NOT NULL,
    server_id   TEXT,             -- that makes an attempt now
    deaths      BIGINT NOT NULL,  -- attempts during which the server died
    wall_ms     BIGINT NOT NULL,  -- when the last attempt began
    UNIQUE (project_id, kind, subject)
);
