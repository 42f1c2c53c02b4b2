-- What was recorded: sessions of agents, and the events in them.

CREATE TABLE server_sessions (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    external_session_id text,
    content_session_id text,
    agent_id text,
    agent_type text,
    platform_source text NOT NULL,
    generation_status text NOT NULL DEFAULT 'idle' CHECK (generation_status IN ('idle', 'queued', 'completed')),
    context_owed boolean NOT NULL DEFAULT false,
    project_root text,
    metadata jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    last_generated_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (project_id, team_id) REFERENCES projects (id, team_id) ON DELETE CASCADE,
    UNIQUE (project_id, platform_source, external_session_id),
    UNIQUE (id, project_id, team_id)
);

CREATE TABLE agent_events (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    server_session_id uuid,
    content_session_id text,
    source_type text NOT NULL CHECK (source_type IN ('hook', 'worker', 'provider', 'server', 'api')),
    source_adapter text NOT NULL,
    source_event_id text,
    event_type text NOT NULL,
    platform_source text NOT NULL,
    turn_key text,
    payload jsonb NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    idempotency_key text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (project_id, team_id) REFERENCES projects (id, team_id) ON DELETE CASCADE,
    FOREIGN KEY (server_session_id, project_id, team_id)
        REFERENCES server_sessions (id, project_id, team_id) ON DELETE CASCADE,
    UNIQUE (team_id, project_id, idempotency_key),
    UNIQUE (id, project_id, team_id)
);
CREATE INDEX agent_events_turn ON agent_events (server_session_id, turn_key, occurred_at);
CREATE INDEX agent_events_uncovered ON agent_events (created_at) WHERE turn_key IS NOT NULL;
