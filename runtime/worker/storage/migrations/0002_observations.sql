-- What was learned, and the words by which it is found again.

CREATE TABLE observations (
    sequence INTEGER PRIMARY KEY,
    -- Derived from source and content: generating the same again is the same observation.
    id TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    source_type TEXT NOT NULL CHECK (source_type IN ('event_batch', 'session_summary')),
    source_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    subtitle TEXT NOT NULL,
    narrative TEXT NOT NULL,
    -- JSON arrays of strings.
    facts TEXT NOT NULL,
    concepts TEXT NOT NULL,
    files_read TEXT NOT NULL,
    files_modified TEXT NOT NULL,
    -- A JSON object.
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX observations_recent ON observations (project_id, created_at, sequence);
CREATE INDEX observations_all ON observations (created_at, sequence);
CREATE INDEX observations_source ON observations (source_type, source_id);
CREATE INDEX observations_session ON observations (session_id);

CREATE TABLE observation_files (
    observation INTEGER NOT NULL REFERENCES observations (sequence) ON DELETE CASCADE,
    path TEXT NOT NULL,
    is_modified INTEGER NOT NULL CHECK (is_modified IN (0, 1)),
    PRIMARY KEY (observation, path, is_modified)
) WITHOUT ROWID;
CREATE INDEX observation_files_path ON observation_files (path, is_modified);

-- The words as domain/terms.py makes them indexable, which no trigger could; rowid is observations.sequence.
CREATE VIRTUAL TABLE observation_words USING fts5 (
    title, files, subtitle, facts, concepts, narrative,
    tokenize = 'porter unicode61'
);

CREATE TRIGGER observations_deleted AFTER DELETE ON observations BEGIN
    DELETE FROM observation_words WHERE rowid = old.sequence;
END;
