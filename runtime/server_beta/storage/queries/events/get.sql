-- $1 team id, $2 event id
SELECT
    id, project_id, team_id, server_session_id, content_session_id, source_type, source_adapter, source_event_id,
    event_type, platform_source, turn_key, payload, metadata, occurred_at, received_at, created_at
FROM agent_events
WHERE team_id = $1 AND id = $2
