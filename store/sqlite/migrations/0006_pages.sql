-- What pages show, and the orders that they show it in.

-- Accounts that sign in with a password, and how often that was tried.
ALTER TABLE users ADD COLUMN password TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN off INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN last_failure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN last_sign_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN sessions_from INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tokens_by_user ON tokens (user, id);

-- Browsers' sessions, by the hash of their secret. They are no records: an
-- archive has none.
CREATE TABLE sessions (
    key        TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    data       BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Each filter has its index; the trailing columns let the others be tested in it.
CREATE INDEX audit_by_target ON audit (target, id, actor, action);
CREATE INDEX audit_by_actor ON audit (actor, id, action);
CREATE INDEX audit_by_action ON audit (action, id);

ALTER TABLE peers ADD COLUMN labels TEXT NOT NULL DEFAULT '[]'; -- JSON array
CREATE INDEX peers_by_name ON peers (name, id);
CREATE INDEX peers_by_seen ON peers (seen, id);
CREATE INDEX peers_online ON peers (id, server) WHERE server <> ''; -- the server, to count in it
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

-- Each order of problems, of all and of one package.
CREATE INDEX problems_by_first_seen ON problems (first_seen, id);
CREATE INDEX problems_by_reports ON problems (reports, id);
CREATE INDEX problems_of_package ON problems (package, last_seen, id);
CREATE INDEX problems_of_package_by_first_seen ON problems (package, first_seen, id);
CREATE INDEX problems_of_package_by_reports ON problems (package, reports, id);

ALTER TABLE hook_results ADD COLUMN level TEXT NOT NULL DEFAULT '';
ALTER TABLE hook_results ADD COLUMN package TEXT NOT NULL DEFAULT '';
CREATE INDEX hook_results_by_peer ON hook_results (peer_id, id);
CREATE INDEX hook_results_by_level ON hook_results (level, id);
CREATE INDEX hook_results_by_package ON hook_results (package, id);

-- Lists show two more fields of a report. Columns that are added lie behind the
-- report and all its pages: so the table is made anew, with the report last.
CREATE TABLE new_jobs (
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
INSERT INTO new_jobs SELECT id, peer_id, workload, status, triggered_by, created_at, deadline, sent_at, acked_at, completed_at,
    outcome, failed_code, failed_text, fingerprint, problem_id, '', '', original_id, hook, version, hook_error, slot, bytes, denied,
    extra, report_sha256, report FROM jobs;
CREATE TABLE new_job_keys (
    peer_id TEXT NOT NULL,
    key     TEXT NOT NULL,
    job_id  TEXT NOT NULL REFERENCES new_jobs (id),
    PRIMARY KEY (peer_id, key, job_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_job_keys SELECT peer_id, key, job_id FROM job_keys;
DROP TABLE job_keys;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
ALTER TABLE new_job_keys RENAME TO job_keys;
CREATE INDEX job_keys_by_job ON job_keys (job_id);

CREATE UNIQUE INDEX jobs_slot ON jobs (slot) WHERE slot <> '';
-- The trailing columns let a narrower filter be tested inside the index.
CREATE INDEX jobs_by_peer ON jobs (peer_id, id, workload, status);
CREATE INDEX jobs_by_problem ON jobs (problem_id, id, workload, status) WHERE problem_id <> '';
CREATE INDEX jobs_by_original ON jobs (original_id, id, workload, status) WHERE original_id <> '';
CREATE INDEX jobs_by_version ON jobs (version, id, workload, status) WHERE version <> '';
CREATE INDEX jobs_by_workload ON jobs (workload, id, problem_id); -- the problems of the newest reports
CREATE INDEX jobs_by_workload_and_status ON jobs (workload, status, id);
CREATE INDEX jobs_by_status ON jobs (status, id);
CREATE INDEX jobs_pending ON jobs (id, deadline) WHERE status = 'pending';
CREATE INDEX jobs_pending_of_peer ON jobs (peer_id, id, acked_at) WHERE status = 'pending' AND workload = 'hook';
