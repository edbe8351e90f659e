-- What an imported archive says that this version does not know: fields, a JSON
-- object beside the row that they belong to, and whole records.
ALTER TABLE users ADD COLUMN extra TEXT;
ALTER TABLE tokens ADD COLUMN extra TEXT;
ALTER TABLE audit ADD COLUMN extra TEXT;
ALTER TABLE peers ADD COLUMN extra TEXT;
ALTER TABLE hook_versions ADD COLUMN extra TEXT;
ALTER TABLE reviews ADD COLUMN extra TEXT;
ALTER TABLE activations ADD COLUMN extra TEXT;
ALTER TABLE jobs ADD COLUMN extra TEXT;
ALTER TABLE problems ADD COLUMN extra TEXT;
ALTER TABLE hook_results ADD COLUMN extra TEXT;

CREATE TABLE foreign_records (
    kind TEXT NOT NULL,
    key  TEXT NOT NULL,
    data TEXT NOT NULL, -- JSON object
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- The import that is under way: no server starts before it is whole.
CREATE TABLE imports (
    id      INTEGER PRIMARY KEY CHECK (id = 1), -- one at a time
    archive TEXT NOT NULL,   -- hex SHA-256 of its content
    records INTEGER NOT NULL -- of it that are here
) STRICT;

CREATE INDEX leases_by_version ON leases (version, id);
