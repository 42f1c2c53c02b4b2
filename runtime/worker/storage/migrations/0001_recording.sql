-- What was recorded, and the work that it calls for. Ids are UUIDs as text; instants are integer milliseconds since 1970.

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    platform_source TEXT NOT NULL,
    external_session_id TEXT NOT NULL,
    project_root TEXT,
    -- The client started without its context: the next live prompt is answered with it.
    context_owed INTEGER NOT NULL DEFAULT 0 CHECK (context_owed IN (0, 1)),
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    last_generated_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, platform_source, external_session_id)
);

-- One prompt and what followed. Its id is derived from session and key, so that every process names it alike.
CREATE TABLE turns (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    -- Open: not queued for generation yet. A private turn keeps no payload and makes no observation.
    is_open INTEGER NOT NULL DEFAULT 1 CHECK (is_open IN (0, 1)),
    is_private INTEGER NOT NULL DEFAULT 0 CHECK (is_private IN (0, 1)),
    last_event_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (session_id, key)
);
CREATE INDEX turns_open ON turns (session_id, last_event_at) WHERE is_open = 1;

CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    -- Derived from the id that the hook chose before its first try: the same event has the same id.
    id TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    turn_id TEXT REFERENCES turns (id) ON DELETE CASCADE,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL
);
CREATE INDEX events_turn ON events (turn_id, occurred_at, sequence);
CREATE INDEX events_session ON events (session_id, occurred_at, sequence);
CREATE INDEX events_project ON events (project_id);
CREATE INDEX events_received ON events (received_at);

-- The queue. A source has one job for ever; `revision` counts how often it was asked for (see domain/jobs.py).
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    source_type TEXT NOT NULL CHECK (source_type IN ('event_batch', 'session_summary')),
    -- The turn of a batch, the session of a summary.
    source_id TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'processing', 'completed', 'failed')),
    revision INTEGER NOT NULL DEFAULT 1,
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND max_attempts),
    max_attempts INTEGER NOT NULL DEFAULT 5,
    next_attempt_at INTEGER NOT NULL,
    locked_by TEXT,
    locked_until INTEGER,
    last_error TEXT,
    completed_at INTEGER,
    failed_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (source_type, source_id),
    CHECK ((completed_at IS NOT NULL) = (status = 'completed')),
    CHECK ((failed_at IS NOT NULL) = (status = 'failed')),
    CHECK ((locked_by IS NOT NULL AND locked_until IS NOT NULL) = (status = 'processing'))
);
CREATE INDEX jobs_due ON jobs (next_attempt_at) WHERE status = 'queued';
CREATE INDEX jobs_leased ON jobs (locked_until) WHERE status = 'processing';
CREATE INDEX jobs_status ON jobs (source_type, status);
CREATE INDEX jobs_project ON jobs (project_id);
CREATE INDEX jobs_session ON jobs (session_id);
