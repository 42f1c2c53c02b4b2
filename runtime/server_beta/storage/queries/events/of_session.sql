-- What a session's summary is made from: its newest events, within 8 MB of payload, oldest first; reads and searches
-- left out. $1 project id, $2 team id, $3 session id
SELECT event_type, payload, metadata, occurred_at
FROM (
    SELECT
        event_type, payload, metadata, occurred_at, id,
        sum(pg_column_size(payload)) OVER (ORDER BY occurred_at DESC, id DESC) AS bytes_so_far
    FROM agent_events
    WHERE project_id = $1 AND team_id = $2 AND server_session_id = $3
        AND (
            event_type <> 'PostToolUse'
            OR payload ->> 'tool_name' NOT IN ('Read', 'Grep', 'Glob', 'LS')
        )
    ORDER BY occurred_at DESC, id DESC
    LIMIT 2000
) AS newest
WHERE bytes_so_far <= 8000000
ORDER BY occurred_at, id
