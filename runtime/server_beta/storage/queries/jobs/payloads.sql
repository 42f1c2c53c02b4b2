-- The recorded events that jobs generate from, the newest of each job, oldest first, as far as the
-- bytes reach. $1 team id, $2 job ids, $3 events of a job at most, $4 bytes at most
WITH sources AS (
    SELECT
        job.id AS job_id, source.id, source.event_type, source.payload, source.occurred_at,
        sum(octet_length(source.payload::text)) OVER (
            ORDER BY job.created_at DESC, job.id DESC, source.occurred_at DESC, source.id DESC
        ) AS bytes_so_far
    FROM observation_generation_jobs AS job
    CROSS JOIN LATERAL (
        SELECT event.id, event.event_type, event.payload, event.occurred_at
        FROM agent_events AS event
        WHERE event.team_id = job.team_id AND event.project_id = job.project_id AND event.id = job.agent_event_id
        UNION ALL
        SELECT event.id, event.event_type, event.payload, event.occurred_at
        FROM agent_events AS event
        WHERE event.team_id = job.team_id AND event.project_id = job.project_id
            AND event.server_session_id = job.server_session_id AND event.turn_key = job.turn_key
            AND job.source_type = 'event_batch'
        UNION ALL
        SELECT event.id, event.event_type, event.payload, event.occurred_at
        FROM agent_events AS event
        WHERE event.team_id = job.team_id AND event.project_id = job.project_id
            AND event.server_session_id = job.server_session_id
            AND job.source_type = 'session_summary'
        ORDER BY occurred_at DESC, id DESC
        LIMIT $3
    ) AS source
    WHERE job.team_id = $1 AND job.id = ANY ($2)
)
SELECT job_id, id, event_type, payload, occurred_at
FROM sources
WHERE bytes_so_far <= $4
ORDER BY job_id, occurred_at, id
