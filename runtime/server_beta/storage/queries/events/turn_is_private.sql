-- Whether a prompt made its turn private. $1 project id, $2 team id, $3 session id, $4 turn key
SELECT EXISTS (
    SELECT FROM agent_events
    WHERE project_id = $1 AND team_id = $2 AND server_session_id = $3 AND turn_key = $4
        AND metadata @> '{"private": true}'
) AS private
