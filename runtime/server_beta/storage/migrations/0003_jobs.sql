-- Work to do and the history of it. The state machine is in domain/jobs.py; the constraints here hold it up.

CREATE TABLE observation_generation_jobs (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    source_type text NOT NULL,
    source_id uuid NOT NULL,
    agent_event_id uuid,
    server_session_id uuid,
    turn_key text,
    job_type text NOT NULL DEFAULT 'generate',
    status text NOT NULL DEFAULT 'queued',
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    max_attempts integer NOT NULL DEFAULT 3,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    locked_by text,
    locked_until timestamptz,
    -- How many events of its turn a completed batch had read; more events than that mean: generate again.
    covered_events integer,
    -- What `attempts` was when the job was last published; a different value means: publish again.
    enqueued_attempt integer,
    enqueued_at timestamptz,
    transport_id text,
    api_key_id uuid,
    request_id text,
    last_error text,
    completed_at timestamptz,
    failed_at timestamptz,
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (project_id, team_id) REFERENCES projects (id, team_id) ON DELETE CASCADE,
    FOREIGN KEY (agent_event_id, project_id, team_id)
        REFERENCES agent_events (id, project_id, team_id) ON DELETE CASCADE,
    FOREIGN KEY (server_session_id, project_id, team_id)
        REFERENCES server_sessions (id, project_id, team_id) ON DELETE CASCADE,
    UNIQUE (team_id, project_id, source_type, source_id, job_type),
    UNIQUE (id, project_id, team_id),
    CONSTRAINT job_attempts CHECK (attempts <= max_attempts),
    CONSTRAINT job_source CHECK (
        CASE source_type
            WHEN 'agent_event' THEN agent_event_id IS NOT NULL AND agent_event_id = source_id AND turn_key IS NULL
            WHEN 'event_batch' THEN agent_event_id IS NULL AND server_session_id IS NOT NULL AND turn_key IS NOT NULL
            WHEN 'session_summary' THEN agent_event_id IS NULL AND server_session_id IS NOT NULL AND turn_key IS NULL
            WHEN 'observation_reindex' THEN agent_event_id IS NULL AND server_session_id IS NULL AND turn_key IS NULL
            ELSE false
        END
    ),
    CONSTRAINT job_status CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    CONSTRAINT job_terminal CHECK (
        (completed_at IS NOT NULL) = (status = 'completed')
        AND (failed_at IS NOT NULL) = (status = 'failed')
        AND (cancelled_at IS NOT NULL) = (status = 'cancelled')
    ),
    CONSTRAINT job_lease CHECK ((locked_until IS NOT NULL AND locked_by IS NOT NULL) = (status = 'processing'))
);
CREATE INDEX jobs_due ON observation_generation_jobs (next_attempt_at) WHERE status = 'queued';
CREATE INDEX jobs_leased ON observation_generation_jobs (locked_until) WHERE status = 'processing';
CREATE INDEX jobs_session ON observation_generation_jobs (server_session_id, turn_key);
CREATE INDEX jobs_event ON observation_generation_jobs (agent_event_id) WHERE agent_event_id IS NOT NULL;

CREATE TABLE observation_generation_job_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id uuid NOT NULL,
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    event text NOT NULL CHECK (
        event IN ('queued', 'enqueued', 'processing', 'retry_scheduled', 'completed', 'failed', 'cancelled')
    ),
    attempt integer NOT NULL,
    detail text,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (job_id, project_id, team_id)
        REFERENCES observation_generation_jobs (id, project_id, team_id) ON DELETE CASCADE
);
CREATE INDEX job_events_job ON observation_generation_job_events (job_id, id);
