-- Delete sessions of a project with whatever is left in them. $1 team id, $2 project id, $3 at most
WITH gone AS (
    DELETE FROM server_sessions
    WHERE team_id = $1 AND project_id = $2
        AND id = ANY (ARRAY(SELECT id FROM server_sessions WHERE team_id = $1 AND project_id = $2 LIMIT $3))
    RETURNING id
)
SELECT count(*) AS sessions FROM gone
