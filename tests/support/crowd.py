"""A store as it is after a while: ten teams that work, many that only have an account, tens of thousands of rows."""

from __future__ import annotations

import asyncpg

TEAMS = 10
PROJECTS = 2
EVENTS = 1000

# Ids begin with their milliseconds, as the program's own do. One event a minute in each project, newest now; ten events
# are a session, five are a turn. One job in a hundred waits or failed.
_SEED = f"""
CREATE FUNCTION pg_temp.made(kind text, p integer, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (
        lpad(to_hex(1790000000000 - ({EVENTS} - n)::bigint * 60000), 12, '0') || '7'
        || substr(md5(kind || p || '.' || n), 14)
    )::uuid
$$;
CREATE FUNCTION pg_temp.at(n integer) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT now() - ({EVENTS} - n) * interval '1 minute'
$$;

INSERT INTO teams (id, name) SELECT pg_temp.made('team', t, 0), 'team' FROM generate_series(1, 300) AS t;
INSERT INTO projects (id, team_id, key, name)
SELECT pg_temp.made('project', p, 0), pg_temp.made('team', (p - 1) / {PROJECTS} + 1, 0), 'git:' || p, 'name ' || p
FROM generate_series(1, {TEAMS * PROJECTS}) AS p;
INSERT INTO projects (id, team_id, key, name)
SELECT pg_temp.made('bare', t, n), pg_temp.made('team', t, 0), 'bare:' || n, 'bare ' || n
FROM generate_series(1, 300) AS t, generate_series(1, 10) AS n;
INSERT INTO api_keys (id, team_id, name, key_hash, scopes, created_by)
SELECT pg_temp.made('key', t, n), pg_temp.made('team', t, 0), 'key', sha256((t || '.' || n)::bytea), '{{}}', 'ada'
FROM generate_series(1, 300) AS t, generate_series(1, 10) AS n;

CREATE TEMP TABLE place AS
SELECT
    p, n, id AS project_id, team_id, pg_temp.at(n) AS moment, pg_temp.made('session', p, n / 10) AS session_id,
    'turn-' || n / 5 AS turn_key
FROM generate_series(1, {TEAMS * PROJECTS}) AS p
JOIN projects ON id = pg_temp.made('project', p, 0)
CROSS JOIN generate_series(1, {EVENTS}) AS n;

INSERT INTO server_sessions (
    id, project_id, team_id, external_session_id, content_session_id, platform_source, created_at
)
SELECT DISTINCT ON (session_id)
    session_id, project_id, team_id, 'external ' || n / 10, 'content ' || n / 10, 'claude-code', moment
FROM place ORDER BY session_id, n;
INSERT INTO agent_events (
    id, project_id, team_id, server_session_id, source_type, source_adapter, event_type, platform_source, turn_key,
    payload, idempotency_key, occurred_at, received_at, created_at
)
SELECT
    pg_temp.made('event', p, n), project_id, team_id, session_id, 'hook', 'claude-code', 'PostToolUse', 'claude-code',
    turn_key, '{{}}', 'key ' || n, moment, moment, moment
FROM place;
INSERT INTO observation_generation_jobs (
    id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, status, completed_at,
    failed_at, next_attempt_at, enqueued_attempt, enqueued_at, created_at, updated_at
)
SELECT
    pg_temp.made('job', p, n), project_id, team_id, 'agent_event', event_id, event_id, session_id, status,
    CASE status WHEN 'completed' THEN moment END, CASE status WHEN 'failed' THEN moment END, moment,
    CASE WHEN n % 3 = 0 THEN 0 END, CASE WHEN n % 3 = 0 THEN moment END, moment, moment
FROM (
    SELECT
        *, pg_temp.made('event', p, n) AS event_id,
        CASE n % 100 WHEN 0 THEN 'queued' WHEN 1 THEN 'failed' ELSE 'completed' END AS status
    FROM place
) AS job;
INSERT INTO observation_generation_jobs (
    id, project_id, team_id, source_type, source_id, server_session_id, turn_key, status, completed_at, covered_events,
    created_at
)
SELECT
    pg_temp.made('batch', p, n), project_id, team_id, 'event_batch', pg_temp.made('event', p, n), session_id, turn_key,
    'completed', moment, 5, moment
FROM place WHERE n % 5 = 4;
UPDATE observation_generation_jobs SET
    status = 'processing', completed_at = NULL, attempts = 1, locked_by = 'somebody', locked_until = now()
WHERE id IN (SELECT pg_temp.made('job', p, {EVENTS - 1}) FROM place);
INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
SELECT id, project_id, team_id, event, 0
FROM observation_generation_jobs CROSS JOIN (VALUES ('queued'), ('completed')) AS happened (event);
INSERT INTO observations (
    id, project_id, team_id, server_session_id, kind, title, narrative, files_modified, content, generation_key,
    created_at
)
SELECT
    pg_temp.made('observation', p, n), project_id, team_id, session_id,
    CASE WHEN n % 20 = 0 THEN 'summary' ELSE 'change' END, 'title ' || n, 'word' || n % 500 || ' of a long story',
    ARRAY['src/file_' || n % 300 || '.py'], 'content', 'key ' || n, moment
FROM place;
INSERT INTO observation_sources (
    observation_id, project_id, team_id, source_type, source_id, agent_event_id, job_id
)
SELECT
    pg_temp.made('observation', p, n), project_id, team_id, 'agent_event', pg_temp.made('event', p, n),
    pg_temp.made('event', p, n), pg_temp.made('job', p, n)
FROM place;
INSERT INTO token_usage (
    id, project_id, team_id, job_id, provider, model, lane, input_tokens, output_tokens, created_at
)
SELECT
    pg_temp.made('usage', p, n), project_id, team_id, pg_temp.made('job', p, n), 'p', 'm', 'event', 1, 1, moment
FROM place;
INSERT INTO audit_log (id, team_id, project_id, actor, action, resource_type, resource_id, created_at)
SELECT pg_temp.made('audit', p, n), team_id, project_id, 'ada', 'looked', 'job', n::text, moment FROM place;
"""


async def crowd(dsn: str) -> None:
    """Fill a database."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_SEED)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
