-- The newest prompt of a session, and how many there are. $1 project id, $2 team id, $3 session id
SELECT payload ->> 'prompt' AS prompt, received_at, count(*) OVER () AS prompts
FROM agent_events
WHERE project_id = $1 AND team_id = $2 AND server_session_id = $3 AND event_type = 'UserPromptSubmit'
ORDER BY occurred_at DESC, id DESC
LIMIT 1
