-- Delete a session and all that was recorded and learned in it; no row means that it is not there. $1 team id,
-- $2 project id, $3 session id
DELETE FROM server_sessions
WHERE team_id = $1 AND project_id = $2 AND id = $3
RETURNING id
