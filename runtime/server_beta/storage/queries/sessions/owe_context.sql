-- Remember that the client started without its context. $1 team id, $2 project id, $3 session id
UPDATE server_sessions SET context_owed = true, updated_at = now()
WHERE team_id = $1 AND project_id = $2 AND id = $3
