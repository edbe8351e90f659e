-- A sign-in link's: when the session that it makes must end at the latest.
ALTER TABLE tokens ADD COLUMN session_until INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tokens_by_end ON tokens (expires_at);
