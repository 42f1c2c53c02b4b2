-- Queue a batch for every turn that has events which no batch has read: a client that died before its Stop, or an event
-- stored while the batch was already reading. A turn counts as over when its session went on with another one, or after
-- the idle time. $1 idle time, $2 how far back to look
WITH turns AS (
    SELECT
        event.project_id, event.team_id, event.server_session_id, event.turn_key,
        count(*) AS events,
        max(event.created_at) AS last_event_at,
        (array_agg(event.id ORDER BY event.created_at DESC, event.id DESC))[1] AS last_event_id
    FROM agent_events AS event
    WHERE event.turn_key IS NOT NULL
        AND event.server_session_id IS NOT NULL
        AND event.created_at > now() - $2::interval
        AND event.event_type NOT IN ('SessionStart', 'SessionEnd')
    GROUP BY 1, 2, 3, 4
),
open_turns AS (
    SELECT turns.*
    FROM turns
    WHERE NOT EXISTS (
            SELECT FROM observation_generation_jobs AS job
            WHERE job.server_session_id = turns.server_session_id
                AND job.turn_key = turns.turn_key
                AND (
                    job.status <> 'completed'
                    OR job.covered_events >= turns.events
                    OR job.source_id = turns.last_event_id
                )
        )
        AND (
            turns.last_event_at < now() - $1::interval
            OR (
                turns.last_event_at < now() - interval '5 seconds'
                AND EXISTS (
                    SELECT FROM agent_events AS later
                    WHERE later.server_session_id = turns.server_session_id
                        AND later.turn_key <> turns.turn_key
                        AND later.created_at > turns.last_event_at
                )
            )
        )
    LIMIT 500
),
-- What is being deleted at the moment is not waited for, and what is found here is there when its job names it.
held AS (
    SELECT
        open_turns.project_id, open_turns.team_id, open_turns.server_session_id, open_turns.turn_key,
        open_turns.last_event_id
    FROM open_turns
    JOIN projects AS project ON project.id = open_turns.project_id AND project.team_id = open_turns.team_id
    JOIN server_sessions AS session ON session.id = open_turns.server_session_id
    JOIN agent_events AS closing ON closing.id = open_turns.last_event_id
    FOR KEY SHARE OF project, session, closing SKIP LOCKED
),
jobs AS (
    INSERT INTO observation_generation_jobs (
        id, project_id, team_id, source_type, source_id, server_session_id, turn_key
    )
    SELECT gen_random_uuid(), project_id, team_id, 'event_batch', last_event_id, server_session_id, turn_key
    FROM held
    -- Another server may be doing this too: in one order, so that each waits for the other or not at all.
    ORDER BY last_event_id
    ON CONFLICT (team_id, project_id, source_type, source_id, job_type) DO NOTHING
    RETURNING id, project_id, team_id, source_type, attempts, request_id
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
    SELECT id, project_id, team_id, 'queued', 0 FROM jobs
)
SELECT id, project_id, team_id, source_type, attempts, request_id FROM jobs
