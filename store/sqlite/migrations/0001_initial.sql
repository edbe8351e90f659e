-- Times are milliseconds since 1970 UTC, 0 for "not yet". Every list query has
-- an index that gives its order, so that a page costs the same at any size.

CREATE TABLE users (
    name       TEXT PRIMARY KEY,
    roles      TEXT NOT NULL, -- JSON array
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE, -- SHA-256 of the secret, which is nowhere
    user       TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id       TEXT PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    token_id TEXT NOT NULL,
    action   TEXT NOT NULL,
    target   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    outcome  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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
) STRICT, WITHOUT ROWID;

-- One row per hook name: its newest version.
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
    submitted_at INTEGER NOT NULL,
    UNIQUE (hook, number)
) STRICT;

-- Signature files of a version, the author's at position 0.
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
) STRICT, WITHOUT ROWID;
CREATE INDEX reviews_by_version ON reviews (version, id);
CREATE UNIQUE INDEX reviews_one_approval ON reviews (version, person) WHERE verdict = 'approve';

-- The checks are the ledger's identities: a statement that would break one
-- fails instead of storing a lie.
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
    keys       TEXT NOT NULL, -- JSON array
    CHECK (received + leased <= quantity),
    CHECK (bytes + reserved <= max_bytes),
    CHECK (issued = leased + received + empty + failed + refused + deferred + cancelled + timed_out)
) STRICT;
CREATE UNIQUE INDEX activations_one_active ON activations (hook) WHERE state = 'active';
CREATE INDEX activations_by_deadline ON activations (deadline) WHERE state = 'active';

-- Match keys of active activations only: matching never meets the dead ones.
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

CREATE TABLE jobs (
    id            TEXT PRIMARY KEY,
    peer_id       TEXT NOT NULL,
    workload      TEXT NOT NULL,
    status        TEXT NOT NULL,
    triggered_by  TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    deadline      INTEGER NOT NULL,
    sent_at       INTEGER NOT NULL,
    acked_at      INTEGER NOT NULL,
    completed_at  INTEGER NOT NULL,
    outcome       TEXT NOT NULL,
    failed_code   TEXT NOT NULL,
    failed_text   TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    problem_id    TEXT NOT NULL,
    original_id   TEXT NOT NULL,
    hook          TEXT NOT NULL,
    version       TEXT NOT NULL,
    hook_error    TEXT NOT NULL,
    slot          TEXT NOT NULL, -- '' of jobs that are no hook runs
    bytes         INTEGER NOT NULL,
    report_sha256 BLOB,
    report        BLOB -- last, so that lists never read its overflow pages
) STRICT;
CREATE UNIQUE INDEX jobs_slot ON jobs (slot) WHERE slot <> '';
-- The trailing columns let a narrower filter be tested inside the index.
CREATE INDEX jobs_by_peer ON jobs (peer_id, id, workload, status);
CREATE INDEX jobs_by_problem ON jobs (problem_id, id, workload, status) WHERE problem_id <> '';
CREATE INDEX jobs_by_original ON jobs (original_id, id, workload, status) WHERE original_id <> '';
CREATE INDEX jobs_by_version ON jobs (version, id, workload, status) WHERE version <> '';
CREATE INDEX jobs_by_workload ON jobs (workload, id);
CREATE INDEX jobs_by_workload_and_status ON jobs (workload, status, id);
CREATE INDEX jobs_by_status ON jobs (status, id);
CREATE INDEX jobs_pending ON jobs (id, deadline) WHERE status = 'pending';
CREATE INDEX jobs_pending_of_peer ON jobs (peer_id, id, acked_at) WHERE status = 'pending' AND workload = 'hook';

-- Match keys of originals, for "recent matching originals of this peer".
CREATE TABLE job_keys (
    peer_id TEXT NOT NULL,
    key     TEXT NOT NULL,
    job_id  TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (peer_id, key, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_keys_by_job ON job_keys (job_id);

CREATE TABLE problems (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    package     TEXT NOT NULL,
    executable  TEXT NOT NULL,
    reports     INTEGER NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX problems_by_last_seen ON problems (last_seen, id);

-- A result is stored with its job's success, in one commit.
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
) STRICT;
CREATE INDEX hook_results_by_job ON hook_results (job_id, id);
CREATE INDEX hook_results_by_hook ON hook_results (hook, id);
CREATE INDEX hook_results_by_version ON hook_results (version, id);
CREATE INDEX hook_results_by_problem ON hook_results (problem_id, id);
