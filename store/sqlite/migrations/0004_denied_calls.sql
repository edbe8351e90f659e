-- Calls of a hook run that were refused, as its peer counted them. Reports have
-- none: their rows are never read as far as here, past the report itself.
ALTER TABLE jobs ADD COLUMN denied INTEGER NOT NULL DEFAULT 0;
