-- Store events, the jobs that they call for and an audit row for each request that brought something new, in one
-- statement. One row comes back for each event, new or already there; without an event id for one that another
-- transaction is storing at this moment (ask again).
-- $1 ids, $2 projects, $3 teams, $4 sessions, $5 the sender's session ids, $6 source types, $7 adapters, $8 the
-- sender's event ids, $9 event types, $10 platforms, $11 turn keys, $12 payloads, $13 metadata, $14 idempotency keys,
-- $15 occurrence times, $16 job ids, $17 what each event calls for: 'none', 'event' (a job of its own), 'content' (a
-- turn that was generated already is generated again), 'close' (a batch of its turn), 'end' (a batch if something
-- happened in the turn and it has none), $18 request ids, $19 api keys, $20 instants of receipt, $21 audit ids (events
-- of one request have the same), $22 actors, $23 audited actions
WITH input AS (
    SELECT *
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::uuid[], $17::text[],
        $18::text[], $19::uuid[], $20::timestamptz[], $21::uuid[], $22::text[], $23::text[]
    ) WITH ORDINALITY AS input (
        id, project_id, team_id, server_session_id, content_session_id, source_type, source_adapter, source_event_id,
        event_type, platform_source, turn_key, payload, metadata, idempotency_key, occurred_at, job_id, calls_for,
        request_id, api_key_id, received_at, audit_id, actor, action, position
    )
),
inserted AS (
    INSERT INTO agent_events (
        id, project_id, team_id, server_session_id, content_session_id, source_type, source_adapter, source_event_id,
        event_type, platform_source, turn_key, payload, metadata, idempotency_key, occurred_at, received_at
    )
    SELECT
        id, project_id, team_id, server_session_id, content_session_id, source_type, source_adapter, source_event_id,
        event_type, platform_source, turn_key, payload::jsonb, metadata::jsonb, idempotency_key, occurred_at,
        received_at
    FROM input
    ORDER BY idempotency_key
    ON CONFLICT (team_id, project_id, idempotency_key) DO NOTHING
    RETURNING id, created_at
),
called AS (
    SELECT DISTINCT ON (calls_for = 'event', CASE WHEN calls_for = 'event' THEN id END, server_session_id, turn_key)
        input.*
    FROM input
    JOIN inserted USING (id)
    -- An aggregate, because that is asked for each turn by itself. Of a plain EXISTS Postgres may make a table of all jobs
    -- that wait, when its statistics are of a time when few did.
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS has_jobs, coalesce(bool_or(job.status = 'queued'), false) AS is_waiting
        FROM observation_generation_jobs AS job
        WHERE job.server_session_id = input.server_session_id AND job.turn_key = input.turn_key
            AND input.calls_for NOT IN ('none', 'event')
    ) AS turn
    WHERE calls_for = 'event'
        OR (
            calls_for <> 'none'
            AND server_session_id IS NOT NULL
            AND turn_key IS NOT NULL
            AND NOT turn.is_waiting
            AND CASE calls_for
                WHEN 'close' THEN true
                WHEN 'content' THEN turn.has_jobs
                WHEN 'end' THEN NOT turn.has_jobs
                AND (
                    EXISTS (
                        SELECT FROM agent_events AS happened
                        WHERE happened.server_session_id = input.server_session_id
                            AND happened.turn_key = input.turn_key
                            AND happened.event_type NOT IN ('SessionStart', 'SessionEnd')
                    )
                    OR EXISTS (
                        SELECT FROM input AS beside
                        WHERE beside.server_session_id = input.server_session_id
                            AND beside.turn_key = input.turn_key
                            AND beside.event_type NOT IN ('SessionStart', 'SessionEnd')
                    )
                )
            END
        )
    ORDER BY calls_for = 'event', CASE WHEN calls_for = 'event' THEN id END, server_session_id, turn_key, position DESC
),
jobs AS (
    INSERT INTO observation_generation_jobs (
        id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, turn_key, request_id,
        api_key_id
    )
    SELECT
        job_id, project_id, team_id,
        CASE WHEN calls_for = 'event' THEN 'agent_event' ELSE 'event_batch' END,
        id,
        CASE WHEN calls_for = 'event' THEN id END,
        server_session_id,
        CASE WHEN calls_for <> 'event' THEN turn_key END,
        request_id, api_key_id
    FROM called
    RETURNING id, project_id, team_id, source_type, source_id
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
    SELECT id, project_id, team_id, 'queued', 0 FROM jobs
),
audited AS (
    INSERT INTO audit_log (
        id, team_id, project_id, actor, action, resource_type, resource_id, request_id, api_key_id, details
    )
    SELECT DISTINCT ON (audit_id)
        audit_id, team_id, project_id, actor, action, 'agent_event', id::text, request_id, api_key_id,
        jsonb_build_object('events', count(*) OVER (PARTITION BY audit_id))
    FROM input
    JOIN inserted USING (id)
    ORDER BY audit_id, position
    -- An event that was asked for again belongs to a request that may have its row.
    ON CONFLICT (id) DO NOTHING
),
-- Its own step, so that the table is looked into only for what is not new.
existing AS (
    SELECT input.id AS input_id, event.id, event.created_at
    FROM input
    JOIN agent_events AS event USING (team_id, project_id, idempotency_key)
    WHERE NOT EXISTS (SELECT FROM inserted WHERE inserted.id = input.id)
)
SELECT
    input.position,
    coalesce(inserted.id, existing.id) AS event_id,
    coalesce(inserted.created_at, existing.created_at) AS event_created_at,
    inserted.id IS NOT NULL AS created,
    jobs.id AS job_id,
    jobs.source_type AS job_source_type
FROM input
LEFT JOIN inserted ON inserted.id = input.id
LEFT JOIN existing ON existing.input_id = input.id
LEFT JOIN jobs ON jobs.source_id = input.id
ORDER BY input.position
