-- Delete a session and all that was recorded and learned in it; no row means that it is not there. $1 team id,
-- $2 project id, $3 session id
-- Its project first, against all who write into it: see purge/hold.
WITH held AS (
    SELECT id, team_id FROM projects WHERE team_id = $1 AND id = $2 FOR UPDATE
)
DELETE FROM server_sessions AS session USING held
WHERE session.team_id = $1 AND session.project_id = $2 AND session.id = $3
    AND held.team_id = session.team_id AND held.id = session.project_id
RETURNING session.id
