-- The metadata of Perennial. Ids are text (32 hexadecimal digits of a UUIDv7),
-- instants are epoch milliseconds, JSON is text. Every row that belongs to a
-- project carries its id.

-- Projects and access -------------------------------------------------------

CREATE TABLE projects (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    experiment_id BIGINT UNIQUE,   -- of its name; set in the transaction that makes the project
    file_digest   TEXT,            -- the project file last submitted
    clock_ms      BIGINT,          -- where a stepped clock stands; null follows the wall clock
    created_ms    BIGINT NOT NULL
);

CREATE TABLE project_files (
    project_id   TEXT NOT NULL REFERENCES projects (id),
    digest       TEXT NOT NULL,
    body         TEXT NOT NULL,
    submitted_ms BIGINT NOT NULL,
    submitted_by TEXT NOT NULL,
    PRIMARY KEY (project_id, digest)
);

CREATE TABLE principals (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,     -- person, host, step, service
    is_disabled BOOLEAN NOT NULL,
    created_ms  BIGINT NOT NULL
);

CREATE TABLE tokens (
    id           TEXT PRIMARY KEY,
    principal_id TEXT NOT NULL REFERENCES principals (id),
    secret_hash  TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,    -- host, person, step, session
    name         TEXT NOT NULL,
    project_id   TEXT REFERENCES projects (id),
    run_id       TEXT,             -- a step's token writes only this run and its children
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT,
    revoked_ms   BIGINT
);
CREATE INDEX tokens_by_principal ON tokens (principal_id);

CREATE TABLE grants (
    id           TEXT PRIMARY KEY,
    principal_id TEXT NOT NULL REFERENCES principals (id),
    project_id   TEXT REFERENCES projects (id),  -- null: on the whole server
    role         TEXT NOT NULL,
    scope_kind   TEXT,             -- experiment, model, endpoint; null: all of the project
    scope_id     TEXT,
    created_ms   BIGINT NOT NULL
);
CREATE INDEX grants_by_principal ON grants (principal_id);
CREATE INDEX grants_by_project ON grants (project_id);

CREATE TABLE admin_links (
    secret_hash TEXT PRIMARY KEY,
    created_ms  BIGINT NOT NULL,
    expires_ms  BIGINT NOT NULL,
    used_ms     BIGINT
);

CREATE TABLE sessions (
    secret_hash  TEXT PRIMARY KEY,
    principal_id TEXT NOT NULL REFERENCES principals (id),
    csrf_token   TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL
);

-- Tracking ------------------------------------------------------------------

CREATE TABLE experiments (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id        TEXT NOT NULL REFERENCES projects (id),
    name              TEXT NOT NULL UNIQUE,
    artifact_location TEXT NOT NULL,
    lifecycle         TEXT NOT NULL,
    created_ms        BIGINT NOT NULL,
    updated_ms        BIGINT NOT NULL
);
CREATE INDEX experiments_by_project ON experiments (project_id);

CREATE TABLE experiment_tags (
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    key           TEXT NOT NULL,
    value         TEXT NOT NULL,
    PRIMARY KEY (experiment_id, key)
) WITHOUT ROWID;

-- A run has a number beside its id: what is kept for it is clustered by it.
CREATE TABLE runs (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id        TEXT NOT NULL UNIQUE,
    project_id    TEXT NOT NULL REFERENCES projects (id),
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    parent_run_id TEXT,
    name          TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    status        TEXT NOT NULL,
    lifecycle     TEXT NOT NULL,
    start_ms      BIGINT NOT NULL,
    end_ms        BIGINT,
    artifact_uri  TEXT NOT NULL,
    deleted_ms    BIGINT,
    sealed_ms     BIGINT           -- when its metrics and params last entered the ledger
);
CREATE INDEX runs_by_experiment ON runs (experiment_id, lifecycle, start_ms DESC, run_id);
CREATE INDEX runs_by_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;

CREATE TABLE metric_keys (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);

-- Every point, clustered in the order in which history is read. A NaN is kept as 0 with is_nan.
CREATE TABLE metrics (
    run_number   BIGINT NOT NULL,
    key_id       BIGINT NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step         BIGINT NOT NULL,
    value        DOUBLE PRECISION NOT NULL,
    is_nan       BOOLEAN NOT NULL,
    PRIMARY KEY (run_number, key_id, timestamp_ms, step, value, is_nan)
) WITHOUT ROWID;

CREATE TABLE latest_metrics (
    run_number    BIGINT NOT NULL,
    key_id        BIGINT NOT NULL,
    experiment_id BIGINT NOT NULL,
    value         DOUBLE PRECISION NOT NULL,
    is_nan        BOOLEAN NOT NULL,
    timestamp_ms  BIGINT NOT NULL,
    step          BIGINT NOT NULL,
    PRIMARY KEY (run_number, key_id)
) WITHOUT ROWID;
CREATE INDEX latest_metrics_by_value ON latest_metrics (experiment_id, key_id, is_nan, value, run_number);

CREATE TABLE params (
    run_number BIGINT NOT NULL REFERENCES runs (number),
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (run_number, key)
) WITHOUT ROWID;

CREATE TABLE tags (
    run_number BIGINT NOT NULL REFERENCES runs (number),
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (run_number, key)
) WITHOUT ROWID;

-- MLflow's datasets: the input records of runs, one a name and digest in an experiment.
CREATE TABLE dataset_inputs (
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    name          TEXT NOT NULL,
    digest        TEXT NOT NULL,
    source_type   TEXT NOT NULL,
    source        TEXT NOT NULL,
    schema        TEXT,
    profile       TEXT,
    PRIMARY KEY (experiment_id, name, digest)
);

CREATE TABLE run_inputs (
    run_number    BIGINT NOT NULL REFERENCES runs (number),
    name          TEXT NOT NULL,
    digest        TEXT NOT NULL,
    experiment_id BIGINT NOT NULL,
    tags          TEXT NOT NULL,   -- JSON object
    PRIMARY KEY (run_number, name, digest),
    FOREIGN KEY (experiment_id, name, digest) REFERENCES dataset_inputs (experiment_id, name, digest)
);

CREATE TABLE run_artifacts (
    run_number  BIGINT NOT NULL REFERENCES runs (number),
    path        TEXT NOT NULL,     -- relative to the run, with /
    blob_digest TEXT NOT NULL,
    size_bytes  BIGINT NOT NULL,
    updated_ms  BIGINT NOT NULL,
    PRIMARY KEY (run_number, path)
);
CREATE INDEX run_artifacts_by_blob ON run_artifacts (blob_digest);

-- Registry ------------------------------------------------------------------

CREATE TABLE registered_models (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    name        TEXT NOT NULL UNIQUE,
    description TEXT,
    last_number BIGINT NOT NULL,   -- numbers of versions are never reused
    created_ms  BIGINT NOT NULL,
    updated_ms  BIGINT NOT NULL
);
CREATE INDEX registered_models_by_project ON registered_models (project_id);

CREATE TABLE model_tags (
    model_id TEXT NOT NULL REFERENCES registered_models (id),
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
);

CREATE TABLE model_versions (
    model_id       TEXT NOT NULL REFERENCES registered_models (id),
    number         BIGINT NOT NULL,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    source         TEXT NOT NULL,
    run_id         TEXT,
    step_run_id    TEXT,
    content_digest TEXT,
    signature      TEXT,           -- JSON
    flavor         TEXT,
    manifest       TEXT,           -- JSON: path, blob digest, size of each file
    state          TEXT NOT NULL,
    description    TEXT,
    user_id        TEXT NOT NULL,
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    updated_ms     BIGINT NOT NULL,
    PRIMARY KEY (model_id, number)
);
CREATE INDEX model_versions_by_run ON model_versions (run_id);
CREATE INDEX model_versions_by_content ON model_versions (model_id, content_digest);

CREATE TABLE model_version_tags (
    model_id TEXT NOT NULL,
    number   BIGINT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (model_id, number, key),
    FOREIGN KEY (model_id, number) REFERENCES model_versions (model_id, number)
);

CREATE TABLE model_aliases (
    model_id   TEXT NOT NULL,
    alias      TEXT NOT NULL,
    number     BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (model_id, alias),
    FOREIGN KEY (model_id, number) REFERENCES model_versions (model_id, number)
);

-- Data ----------------------------------------------------------------------

CREATE TABLE datasets (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,     -- table, files
    mode        TEXT NOT NULL,     -- append, merge, replace
    key_columns TEXT NOT NULL,     -- JSON list
    table_path  TEXT NOT NULL,
    last_number BIGINT NOT NULL,   -- of its versions; 0 has none yet
    created_ms  BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE loads (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    dataset_id     TEXT NOT NULL REFERENCES datasets (id),
    origin         TEXT NOT NULL,  -- file, batch, sql, stream, push, step, predictions
    origin_id      TEXT,           -- the step run, log, request
    source_path    TEXT,           -- relative to the source's root
    content_digest TEXT,
    size_bytes     BIGINT,
    state          TEXT NOT NULL,
    arrived        BIGINT NOT NULL,
    passing        BIGINT NOT NULL,
    set_aside      BIGINT NOT NULL,
    reasons        TEXT NOT NULL,  -- JSON: rows set aside by reason
    staged         TEXT,           -- JSON: what staging answered, until it is committed
    message        TEXT,
    replaces       TEXT,           -- the load whose rows or place it takes
    replaced_by    TEXT,
    number         BIGINT,         -- of the dataset version it became
    cause          TEXT,           -- the pipeline run, request or person
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    settled_ms     BIGINT
);
CREATE INDEX loads_by_dataset ON loads (dataset_id, id);
CREATE INDEX loads_by_path ON loads (dataset_id, source_path, id);
CREATE INDEX loads_open ON loads (state, id) WHERE state IN ('staged', 'held', 'committing');

-- What a commit under way will say: one open intent a dataset.
CREATE TABLE load_intents (
    dataset_id TEXT PRIMARY KEY REFERENCES datasets (id),
    load_id    TEXT NOT NULL UNIQUE REFERENCES loads (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    number     BIGINT NOT NULL,
    version    TEXT NOT NULL,      -- JSON: the dataset version to be
    holder     TEXT NOT NULL,      -- the server that commits
    created_ms BIGINT NOT NULL
);

CREATE TABLE dataset_versions (
    dataset_id    TEXT NOT NULL REFERENCES datasets (id),
    number        BIGINT NOT NULL,
    project_id    TEXT NOT NULL REFERENCES projects (id),
    delta_version BIGINT,          -- null for a tree of files
    manifest      TEXT,            -- JSON, for a tree of files
    row_count     BIGINT NOT NULL,
    size_bytes    BIGINT NOT NULL,
    schema        TEXT NOT NULL,   -- JSON
    digest        TEXT NOT NULL,
    row_sum       TEXT,            -- the sum of row hashes the digest is made of
    origin_kind   TEXT NOT NULL,   -- load, step_run
    origin_id     TEXT NOT NULL,
    wall_ms       BIGINT NOT NULL,
    project_ms    BIGINT NOT NULL,
    PRIMARY KEY (dataset_id, number)
);
CREATE INDEX dataset_versions_by_digest ON dataset_versions (dataset_id, digest);

CREATE TABLE dataset_pins (
    dataset_id       TEXT NOT NULL,
    number           BIGINT NOT NULL,
    holder_kind      TEXT NOT NULL,  -- release, evidence
    holder_id        TEXT NOT NULL,
    until_project_ms BIGINT,         -- null: for good
    PRIMARY KEY (dataset_id, number, holder_kind, holder_id),
    FOREIGN KEY (dataset_id, number) REFERENCES dataset_versions (dataset_id, number)
);

CREATE TABLE source_files (
    dataset_id     TEXT NOT NULL REFERENCES datasets (id),
    path           TEXT NOT NULL,
    size_bytes     BIGINT NOT NULL,
    modified_ns    BIGINT,
    etag           TEXT,
    content_digest TEXT NOT NULL,
    load_id        TEXT,
    seen_ms        BIGINT NOT NULL,
    PRIMARY KEY (dataset_id, path)
);

CREATE TABLE check_results (
    load_id    TEXT NOT NULL REFERENCES loads (id),
    name       TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id),
    dataset_id TEXT NOT NULL REFERENCES datasets (id),
    severity   TEXT NOT NULL,
    verdict    TEXT NOT NULL,
    answer     TEXT NOT NULL,      -- JSON
    wall_ms    BIGINT NOT NULL,
    PRIMARY KEY (load_id, name)
);
CREATE INDEX check_results_by_dataset ON check_results (dataset_id, load_id);

CREATE TABLE profiles (
    load_id    TEXT PRIMARY KEY REFERENCES loads (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    dataset_id TEXT NOT NULL REFERENCES datasets (id),
    body       TEXT NOT NULL       -- JSON
);

-- Pipelines -----------------------------------------------------------------

CREATE TABLE pipeline_runs (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    kind        TEXT NOT NULL,     -- run, release
    state       TEXT NOT NULL,
    cause       TEXT NOT NULL,     -- JSON
    file_digest TEXT NOT NULL,     -- the project file it follows
    options     TEXT NOT NULL,     -- JSON
    holder      TEXT,              -- the server that runs it
    message     TEXT,
    wall_ms     BIGINT NOT NULL,
    project_ms  BIGINT NOT NULL,
    started_ms  BIGINT,
    ended_ms    BIGINT
);
CREATE INDEX pipeline_runs_by_project ON pipeline_runs (project_id, id);
CREATE INDEX pipeline_runs_open ON pipeline_runs (state, id) WHERE state IN ('pending', 'running', 'interrupted');

CREATE TABLE step_runs (
    id                TEXT PRIMARY KEY,
    project_id        TEXT NOT NULL REFERENCES projects (id),
    pipeline_run_id   TEXT NOT NULL REFERENCES pipeline_runs (id),
    step              TEXT NOT NULL,
    attempt           BIGINT NOT NULL,
    state             TEXT NOT NULL,
    cache_key         TEXT NOT NULL,
    key_parts         TEXT NOT NULL,  -- JSON: what the key is made of, for `why`
    reused_from       TEXT,           -- the attempt whose outputs a cached one has
    run_id            TEXT,
    runner            TEXT,
    exit              TEXT,           -- JSON
    peak_memory_bytes BIGINT,
    isolation         TEXT,
    message           TEXT,
    log_digest        TEXT,
    started_ms        BIGINT,
    ended_ms          BIGINT,
    UNIQUE (pipeline_run_id, step, attempt)
);
CREATE INDEX step_runs_by_key ON step_runs (project_id, cache_key, id) WHERE state = 'succeeded';
CREATE INDEX step_runs_by_step ON step_runs (project_id, step, id);

CREATE TABLE step_outputs (
    step_run_id TEXT NOT NULL REFERENCES step_runs (id),
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,     -- dataset, model, file, report
    digest      TEXT NOT NULL,     -- of the content
    reference   TEXT NOT NULL,     -- JSON: dataset version, or blob digest and manifest
    PRIMARY KEY (step_run_id, name)
);
CREATE INDEX step_outputs_by_digest ON step_outputs (digest);

CREATE TABLE lineage (
    project_id TEXT NOT NULL REFERENCES projects (id),
    from_kind  TEXT NOT NULL,
    from_id    TEXT NOT NULL,
    to_kind    TEXT NOT NULL,
    to_id      TEXT NOT NULL,
    wall_ms    BIGINT NOT NULL,
    PRIMARY KEY (project_id, from_kind, from_id, to_kind, to_id)
) WITHOUT ROWID;
CREATE INDEX lineage_backward ON lineage (project_id, to_kind, to_id, from_kind, from_id);

CREATE TABLE events (
    pipeline_run_id TEXT NOT NULL REFERENCES pipeline_runs (id),
    sequence        BIGINT NOT NULL,
    body            TEXT NOT NULL, -- JSON
    wall_ms         BIGINT NOT NULL,
    PRIMARY KEY (pipeline_run_id, sequence)
) WITHOUT ROWID;

-- Release -------------------------------------------------------------------

CREATE TABLE evidence (
    id                 TEXT PRIMARY KEY,
    project_id         TEXT NOT NULL REFERENCES projects (id),
    pipeline_run_id    TEXT NOT NULL REFERENCES pipeline_runs (id),
    step_run_id        TEXT NOT NULL REFERENCES step_runs (id),
    release_digest     TEXT,
    body               TEXT NOT NULL,  -- JSON
    wall_ms            BIGINT NOT NULL,
    project_ms         BIGINT NOT NULL,
    expires_project_ms BIGINT NOT NULL
);
CREATE INDEX evidence_by_project ON evidence (project_id, id);
CREATE INDEX evidence_by_step_run ON evidence (step_run_id);

CREATE TABLE releases (
    project_id  TEXT NOT NULL REFERENCES projects (id),
    digest      TEXT NOT NULL,
    model_id    TEXT NOT NULL,
    number      BIGINT NOT NULL,   -- of the model version
    body        TEXT NOT NULL,     -- JSON: model, data, code, environment, configuration
    ledger_head TEXT NOT NULL,
    wall_ms     BIGINT NOT NULL,
    project_ms  BIGINT NOT NULL,
    PRIMARY KEY (project_id, digest),
    FOREIGN KEY (model_id, number) REFERENCES model_versions (model_id, number)
);
CREATE INDEX releases_by_time ON releases (project_id, wall_ms);
CREATE INDEX releases_by_version ON releases (model_id, number);

CREATE TABLE decisions (
    id               TEXT PRIMARY KEY,
    project_id       TEXT NOT NULL REFERENCES projects (id),
    pipeline_run_id  TEXT REFERENCES pipeline_runs (id),
    evidence_id      TEXT NOT NULL REFERENCES evidence (id),
    release_digest   TEXT NOT NULL,
    model_id         TEXT NOT NULL,
    number           BIGINT NOT NULL,  -- the candidate's
    champion_number  BIGINT,
    verdict          TEXT NOT NULL,    -- pass, fail, unknown
    body             TEXT NOT NULL,    -- JSON: expressions, values, verdicts
    wall_ms          BIGINT NOT NULL,
    project_ms       BIGINT NOT NULL,
    FOREIGN KEY (project_id, release_digest) REFERENCES releases (project_id, digest)
);
CREATE INDEX decisions_by_project ON decisions (project_id, id);
CREATE INDEX decisions_by_release ON decisions (project_id, release_digest, id);
CREATE INDEX decisions_by_version ON decisions (model_id, number);

CREATE TABLE approvals (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    release_digest TEXT NOT NULL,
    role           TEXT NOT NULL,
    principal_id   TEXT NOT NULL REFERENCES principals (id),
    note           TEXT,
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    UNIQUE (project_id, release_digest, role, principal_id)
);

CREATE TABLE promotions (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    endpoint       TEXT,
    model_id       TEXT NOT NULL REFERENCES registered_models (id),
    alias          TEXT NOT NULL,
    from_number    BIGINT,
    to_number      BIGINT,
    kind           TEXT NOT NULL,  -- canary, promotion, rollback, replacement
    decision_id    TEXT REFERENCES decisions (id),
    release_digest TEXT,
    cause          TEXT NOT NULL,  -- JSON
    actor          TEXT NOT NULL,
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL
);
CREATE INDEX promotions_by_project ON promotions (project_id, id);
CREATE INDEX promotions_by_version ON promotions (model_id, to_number, id);

CREATE TABLE endpoints (
    project_id               TEXT NOT NULL REFERENCES projects (id),
    name                     TEXT NOT NULL,
    model_id                 TEXT NOT NULL REFERENCES registered_models (id),
    alias                    TEXT NOT NULL,
    champion_number          BIGINT,
    champion_since_ms        BIGINT,   -- project clock
    canary_number            BIGINT,
    canary_state             TEXT,
    canary_started_wall_ms   BIGINT,
    canary_started_ms        BIGINT,   -- project clock
    canary_share             DOUBLE PRECISION,
    canary_decision_id       TEXT REFERENCES decisions (id),
    canary_release_digest    TEXT,
    config                   TEXT NOT NULL,    -- JSON
    generation               BIGINT NOT NULL,  -- counts every change of who answers
    updated_ms               BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);
CREATE INDEX endpoints_by_model ON endpoints (model_id, alias);

-- Releases rolled back: triggers may not bring them up again.
CREATE TABLE refusals (
    project_id     TEXT NOT NULL REFERENCES projects (id),
    endpoint       TEXT NOT NULL,
    release_digest TEXT NOT NULL,
    number         BIGINT NOT NULL,
    cause          TEXT NOT NULL,
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    PRIMARY KEY (project_id, endpoint, release_digest)
);

-- Watching ------------------------------------------------------------------

CREATE TABLE prediction_segments (
    log            TEXT NOT NULL,  -- <project>/<endpoint>
    number         BIGINT NOT NULL,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    endpoint       TEXT NOT NULL,
    record_count   BIGINT NOT NULL,
    digest         TEXT NOT NULL,
    state          TEXT NOT NULL,
    load_id        TEXT,
    dataset_number BIGINT,         -- the dataset version its rows are in
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    PRIMARY KEY (log, number)
);
CREATE INDEX prediction_segments_by_endpoint ON prediction_segments (project_id, endpoint, number);

CREATE TABLE monitor_references (
    project_id     TEXT NOT NULL REFERENCES projects (id),
    release_digest TEXT NOT NULL,
    body           TEXT NOT NULL,  -- JSON
    wall_ms        BIGINT NOT NULL,
    PRIMARY KEY (project_id, release_digest)
);

CREATE TABLE monitor_results (
    project_id      TEXT NOT NULL REFERENCES projects (id),
    monitor         TEXT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    window_end_ms   BIGINT NOT NULL,
    number          BIGINT NOT NULL,  -- the model version judged
    kind            TEXT NOT NULL,    -- inputs, quality
    revision        BIGINT NOT NULL,
    facts           TEXT NOT NULL,    -- JSON
    wall_ms         BIGINT NOT NULL,
    project_ms      BIGINT NOT NULL,
    PRIMARY KEY (project_id, monitor, window_start_ms, number, kind, revision)
);

CREATE TABLE alerts (
    id              TEXT PRIMARY KEY,
    project_id      TEXT NOT NULL REFERENCES projects (id),
    subject         TEXT NOT NULL,   -- monitor:<name>, dataset:<name>, load:<id>
    name            TEXT NOT NULL,
    window_start_ms BIGINT NOT NULL, -- 0 where there is no window
    number          BIGINT,          -- the model version judged
    expression      TEXT,
    facts           TEXT NOT NULL,   -- JSON: the values it saw
    message         TEXT NOT NULL,
    state           TEXT NOT NULL,
    wall_ms         BIGINT NOT NULL,
    project_ms      BIGINT NOT NULL,
    settled_ms      BIGINT,
    UNIQUE (project_id, subject, name, window_start_ms)
);
CREATE INDEX alerts_by_project ON alerts (project_id, id);

CREATE TABLE trigger_firings (
    project_id      TEXT NOT NULL REFERENCES projects (id),
    trigger_name    TEXT NOT NULL,
    cause_id        TEXT NOT NULL, -- the alert, dataset version, scheduled instant, commit
    pipeline_run_id TEXT REFERENCES pipeline_runs (id),
    wall_ms         BIGINT NOT NULL,
    project_ms      BIGINT NOT NULL,
    PRIMARY KEY (project_id, trigger_name, cause_id)
);

-- Work ----------------------------------------------------------------------

CREATE TABLE jobs (
    id             TEXT PRIMARY KEY,
    project_id     TEXT REFERENCES projects (id),
    kind           TEXT NOT NULL,
    payload        TEXT NOT NULL,  -- JSON
    unique_key     TEXT,           -- at most one open job has it
    state          TEXT NOT NULL,
    clock          TEXT NOT NULL,  -- wall, project: what due_ms is read on
    due_ms         BIGINT NOT NULL,
    attempts       BIGINT NOT NULL,
    lease_holder   TEXT,
    lease_until_ms BIGINT,         -- wall clock
    message        TEXT,
    created_ms     BIGINT NOT NULL,
    settled_ms     BIGINT
);
CREATE INDEX jobs_due ON jobs (clock, due_ms) WHERE state IN ('pending', 'running');
CREATE INDEX jobs_by_project ON jobs (project_id, id);
CREATE UNIQUE INDEX jobs_unique_open ON jobs (unique_key) WHERE state IN ('pending', 'running');

CREATE TABLE servers (
    id             TEXT PRIMARY KEY,
    address        TEXT NOT NULL,
    version        TEXT NOT NULL,
    is_serving     BOOLEAN NOT NULL,
    started_ms     BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL
);

-- Which state of an endpoint a server answers from.
CREATE TABLE server_endpoints (
    server_id  TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (server_id, project_id, endpoint)
);

-- Ledger --------------------------------------------------------------------

CREATE TABLE ledger_chains (
    chain    TEXT PRIMARY KEY,     -- server, or a project's id
    sequence BIGINT NOT NULL,
    hash     TEXT NOT NULL
);

CREATE TABLE ledger_entries (
    chain          TEXT NOT NULL,
    sequence       BIGINT NOT NULL,
    noun           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    verb           TEXT NOT NULL,
    actor          TEXT NOT NULL,
    wall_ms        BIGINT NOT NULL,
    project_ms     BIGINT NOT NULL,
    cause          TEXT,
    payload_digest TEXT NOT NULL,
    previous       TEXT NOT NULL,
    hash           TEXT NOT NULL,
    PRIMARY KEY (chain, sequence)
);
CREATE INDEX ledger_entries_by_subject ON ledger_entries (chain, noun, subject, sequence);

CREATE TABLE ledger_payloads (
    chain     TEXT NOT NULL,
    sequence  BIGINT NOT NULL,
    body      TEXT,                -- null once erased
    erased_ms BIGINT,
    PRIMARY KEY (chain, sequence)
);

-- The project `default` with MLflow's experiment 0, there from the start.
INSERT INTO projects (id, name, experiment_id, created_ms)
VALUES ('00000000000070008000000000000000', 'default', 0, 0);
INSERT INTO experiments (id, project_id, name, artifact_location, lifecycle, created_ms, updated_ms)
VALUES (0, '00000000000070008000000000000000', 'Default', 'mlflow-artifacts:/0', 'active', 0, 0);
