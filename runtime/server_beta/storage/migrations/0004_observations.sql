-- What was learned, where it came from, and what learning it cost.

-- array_to_string is only STABLE (it may call any element type's output function); for text[] it is immutable.
CREATE FUNCTION joined_words(words text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_to_string(words, ' ');

CREATE TABLE observations (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    server_session_id uuid,
    kind text NOT NULL,
    title text NOT NULL,
    subtitle text NOT NULL DEFAULT '',
    narrative text NOT NULL DEFAULT '',
    facts text[] NOT NULL DEFAULT '{}',
    concepts text[] NOT NULL DEFAULT '{}',
    files_read text[] NOT NULL DEFAULT '{}',
    files_modified text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    content text NOT NULL,
    generation_key text,
    content_search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('simple', joined_words(files_modified) || ' ' || joined_words(files_read)), 'B')
        || setweight(to_tsvector('english', subtitle || ' ' || joined_words(facts)), 'B')
        || setweight(to_tsvector('simple', joined_words(concepts)), 'C')
        || setweight(to_tsvector('english', narrative), 'C')
    ) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (project_id, team_id) REFERENCES projects (id, team_id) ON DELETE CASCADE,
    FOREIGN KEY (server_session_id, project_id, team_id)
        REFERENCES server_sessions (id, project_id, team_id) ON DELETE CASCADE,
    UNIQUE (team_id, project_id, generation_key),
    UNIQUE (id, project_id, team_id)
);
CREATE INDEX observations_search ON observations USING gin (content_search);
CREATE INDEX observations_recent ON observations (project_id, created_at DESC, id DESC);
CREATE INDEX observations_files ON observations USING gin (files_modified);
CREATE INDEX observations_session ON observations (server_session_id) WHERE server_session_id IS NOT NULL;

CREATE TABLE observation_sources (
    observation_id uuid NOT NULL,
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    source_type text NOT NULL CHECK (source_type IN ('agent_event', 'event_batch', 'session_summary', 'manual')),
    -- The event, the turn, the session, or for a manual observation the observation itself.
    source_id uuid NOT NULL,
    job_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (observation_id, source_type, source_id),
    FOREIGN KEY (observation_id, project_id, team_id)
        REFERENCES observations (id, project_id, team_id) ON DELETE CASCADE,
    FOREIGN KEY (job_id, project_id, team_id)
        REFERENCES observation_generation_jobs (id, project_id, team_id) ON DELETE SET NULL (job_id)
);
CREATE INDEX observation_sources_source ON observation_sources (project_id, source_type, source_id);

CREATE TABLE token_usage (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    job_id uuid,
    provider text NOT NULL,
    model text NOT NULL,
    lane text NOT NULL,
    input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (project_id, team_id) REFERENCES projects (id, team_id) ON DELETE CASCADE
);
CREATE INDEX token_usage_day ON token_usage (team_id, created_at);
