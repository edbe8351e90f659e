-- Made from the migrations by go test ./store/sqlite -run Schema -update: what they make of a new database.

CREATE TABLE users (
    name       TEXT PRIMARY KEY,
    roles      TEXT NOT NULL, -- JSON array
    created_at INTEGER NOT NULL
, extra TEXT, password TEXT NOT NULL DEFAULT '', off INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, last_failure INTEGER NOT NULL DEFAULT 0, last_sign_in INTEGER NOT NULL DEFAULT 0, sessions_from INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE, -- SHA-256 of the secret, which is nowhere
    user       TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
, session_until INTEGER NOT NULL DEFAULT 0, extra TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id       TEXT PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    token_id TEXT NOT NULL,
    action   TEXT NOT NULL,
    target   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    outcome  TEXT NOT NULL
, extra TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE peers (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    spki         TEXT NOT NULL UNIQUE,
    enrolled_at  INTEGER NOT NULL,
    os           TEXT NOT NULL,
    release      TEXT NOT NULL,
    kernel       TEXT NOT NULL,
    arch         TEXT NOT NULL,
    version      TEXT NOT NULL,
    send_reports INTEGER NOT NULL,
    allow_hooks  TEXT NOT NULL,
    server       TEXT NOT NULL, -- '' is not connected
    epoch        INTEGER NOT NULL,
    seen         INTEGER NOT NULL
, extra TEXT, labels TEXT NOT NULL DEFAULT '[]') STRICT, WITHOUT ROWID;

CREATE TABLE hooks (
    name   TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hook_versions (
    digest       TEXT PRIMARY KEY,
    hook         TEXT NOT NULL,
    number       INTEGER NOT NULL CHECK (number > 0),
    state        TEXT NOT NULL,
    manifest     BLOB NOT NULL,
    script       BLOB NOT NULL,
    statement    BLOB NOT NULL,
    submitted_by TEXT NOT NULL,
    submitted_at INTEGER NOT NULL, extra TEXT,
    UNIQUE (hook, number)
) STRICT;

CREATE TABLE signatures (
    version  TEXT NOT NULL REFERENCES hook_versions (digest),
    position INTEGER NOT NULL,
    file     BLOB NOT NULL,
    PRIMARY KEY (version, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE reviews (
    id        TEXT PRIMARY KEY,
    version   TEXT NOT NULL REFERENCES hook_versions (digest),
    user      TEXT NOT NULL,
    person    TEXT NOT NULL,
    key_id    TEXT NOT NULL,
    verdict   TEXT NOT NULL,
    comment   TEXT NOT NULL,
    signature BLOB,
    at        INTEGER NOT NULL
, extra TEXT) STRICT, WITHOUT ROWID;

CREATE INDEX reviews_by_version ON reviews (version, id);

CREATE TABLE activations (
    digest     TEXT PRIMARY KEY,
    hook       TEXT NOT NULL,
    state      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    quantity   INTEGER NOT NULL,
    deadline   INTEGER NOT NULL,
    max_bytes  INTEGER NOT NULL,
    percent    INTEGER NOT NULL,
    per_minute INTEGER NOT NULL,
    issued     INTEGER NOT NULL DEFAULT 0,
    leased     INTEGER NOT NULL DEFAULT 0 CHECK (leased >= 0),
    received   INTEGER NOT NULL DEFAULT 0,
    empty      INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    refused    INTEGER NOT NULL DEFAULT 0,
    deferred   INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    timed_out  INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    reserved   INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    keys       TEXT NOT NULL, extra TEXT, -- JSON array
    CHECK (received + leased <= quantity),
    CHECK (bytes + reserved <= max_bytes),
    CHECK (issued = leased + received + empty + failed + refused + deferred + cancelled + timed_out)
) STRICT;

CREATE UNIQUE INDEX activations_one_active ON activations (hook) WHERE state = 'active';

CREATE INDEX activations_by_deadline ON activations (deadline) WHERE state = 'active';

CREATE TABLE activation_keys (
    key    TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES activations (digest),
    PRIMARY KEY (key, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX activation_keys_by_digest ON activation_keys (digest);

CREATE TABLE leases (
    id       TEXT PRIMARY KEY, -- the hook job's id
    version  TEXT NOT NULL,
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    taken_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE problems (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    package     TEXT NOT NULL,
    executable  TEXT NOT NULL,
    reports     INTEGER NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL
, extra TEXT) STRICT, WITHOUT ROWID;

CREATE INDEX problems_by_last_seen ON problems (last_seen, id);

CREATE TABLE hook_results (
    id         TEXT PRIMARY KEY, -- the hook job's id
    job_id     TEXT NOT NULL,    -- the original job's id
    hook       TEXT NOT NULL,
    version    TEXT NOT NULL,
    peer_id    TEXT NOT NULL,
    problem_id TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    fields     BLOB NOT NULL
, extra TEXT, level TEXT NOT NULL DEFAULT '', package TEXT NOT NULL DEFAULT '') STRICT;

CREATE INDEX hook_results_by_job ON hook_results (job_id, id);

CREATE INDEX hook_results_by_hook ON hook_results (hook, id);

CREATE INDEX hook_results_by_version ON hook_results (version, id);

CREATE INDEX hook_results_by_problem ON hook_results (problem_id, id);

CREATE INDEX tokens_by_end ON tokens (expires_at);

CREATE TABLE foreign_records (
    kind TEXT NOT NULL,
    key  TEXT NOT NULL,
    data TEXT NOT NULL, -- JSON object
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE imports (
    id      INTEGER PRIMARY KEY CHECK (id = 1), -- one at a time
    archive TEXT NOT NULL,   -- hex SHA-256 of its content
    records INTEGER NOT NULL -- of it that are here
) STRICT;

CREATE INDEX leases_by_version ON leases (version, id);

CREATE UNIQUE INDEX reviews_one_approval ON reviews (version, key_id) WHERE verdict = 'approve';

CREATE INDEX tokens_by_user ON tokens (user, id);

CREATE TABLE sessions (
    key        TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    data       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE INDEX audit_by_target ON audit (target, id, actor, action);

CREATE INDEX audit_by_actor ON audit (actor, id, action);

CREATE INDEX audit_by_action ON audit (action, id);

CREATE INDEX peers_by_name ON peers (name, id);

CREATE INDEX peers_by_seen ON peers (seen, id);

CREATE INDEX peers_online ON peers (id, server) WHERE server <> '';

CREATE INDEX peers_online_by_name ON peers (name, id) WHERE server <> '';

CREATE INDEX peers_online_by_seen ON peers (seen, id) WHERE server <> '';

CREATE INDEX hook_versions_waiting ON hook_versions (submitted_at, digest) WHERE state = 'submitted';

CREATE TABLE comments (
    id          TEXT PRIMARY KEY,
    version     TEXT NOT NULL REFERENCES hook_versions (digest),
    part        TEXT NOT NULL,
    line        INTEGER NOT NULL,
    parent      TEXT NOT NULL, -- '' starts a thread
    user        TEXT NOT NULL,
    text        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    resolved_by TEXT NOT NULL, -- '' is open
    resolved_at INTEGER NOT NULL,
    extra       TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX comments_by_version ON comments (version, id);

CREATE INDEX problems_by_first_seen ON problems (first_seen, id);

CREATE INDEX problems_by_reports ON problems (reports, id);

CREATE INDEX problems_of_package ON problems (package, last_seen, id);

CREATE INDEX problems_of_package_by_first_seen ON problems (package, first_seen, id);

CREATE INDEX problems_of_package_by_reports ON problems (package, reports, id);

CREATE INDEX hook_results_by_peer ON hook_results (peer_id, id);

CREATE INDEX hook_results_by_level ON hook_results (level, id);

CREATE INDEX hook_results_by_package ON hook_results (package, id);

CREATE TABLE "jobs" (
    id              TEXT PRIMARY KEY,
    peer_id         TEXT NOT NULL,
    workload        TEXT NOT NULL,
    status          TEXT NOT NULL,
    triggered_by    TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    deadline        INTEGER NOT NULL,
    sent_at         INTEGER NOT NULL,
    acked_at        INTEGER NOT NULL,
    completed_at    INTEGER NOT NULL,
    outcome         TEXT NOT NULL,
    failed_code     TEXT NOT NULL,
    failed_text     TEXT NOT NULL,
    fingerprint     TEXT NOT NULL,
    problem_id      TEXT NOT NULL,
    package_version TEXT NOT NULL,
    release         TEXT NOT NULL,
    original_id     TEXT NOT NULL,
    hook            TEXT NOT NULL,
    version         TEXT NOT NULL,
    hook_error      TEXT NOT NULL,
    slot            TEXT NOT NULL, -- '' of jobs that are no hook runs
    bytes           INTEGER NOT NULL,
    denied          INTEGER NOT NULL, -- calls of a hook run that were refused, as its peer counted them
    extra           TEXT,
    report_sha256   BLOB,
    report          BLOB -- last, so that lists never read its overflow pages
) STRICT;

CREATE TABLE "job_keys" (
    peer_id TEXT NOT NULL,
    key     TEXT NOT NULL,
    job_id  TEXT NOT NULL REFERENCES "jobs" (id),
    PRIMARY KEY (peer_id, key, job_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_keys_by_job ON job_keys (job_id);

CREATE UNIQUE INDEX jobs_slot ON jobs (slot) WHERE slot <> '';

CREATE INDEX jobs_by_peer ON jobs (peer_id, id, workload, status);

CREATE INDEX jobs_by_problem ON jobs (problem_id, id, workload, status) WHERE problem_id <> '';

CREATE INDEX jobs_by_original ON jobs (original_id, id, workload, status) WHERE original_id <> '';

CREATE INDEX jobs_by_version ON jobs (version, id, workload, status) WHERE version <> '';

CREATE INDEX jobs_by_workload ON jobs (workload, id, problem_id);

CREATE INDEX jobs_by_workload_and_status ON jobs (workload, status, id);

CREATE INDEX jobs_by_status ON jobs (status, id);

CREATE INDEX jobs_pending ON jobs (id, deadline) WHERE status = 'pending';

CREATE INDEX jobs_pending_of_peer ON jobs (peer_id, id, acked_at) WHERE status = 'pending' AND workload = 'hook';

