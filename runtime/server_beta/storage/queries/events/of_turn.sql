-- The events of one turn in the order in which they happened. $1 project id, $2 team id, $3 session id, $4 turn key
SELECT event_type, payload, metadata, occurred_at
FROM agent_events
WHERE project_id = $1 AND team_id = $2 AND server_session_id = $3 AND turn_key = $4
ORDER BY occurred_at, id
LIMIT 2000
