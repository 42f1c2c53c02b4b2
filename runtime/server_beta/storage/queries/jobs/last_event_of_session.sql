-- The newest event of a session that has something to summarise. $1 team id, $2 project id, $3 session id
SELECT id FROM agent_events
WHERE team_id = $1 AND project_id = $2 AND server_session_id = $3
    AND event_type NOT IN ('SessionStart', 'SessionEnd')
ORDER BY created_at DESC, id DESC
LIMIT 1
