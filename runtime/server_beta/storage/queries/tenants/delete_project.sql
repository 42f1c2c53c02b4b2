-- Delete a project and all that is in it; no row means that it is not there. What was done to it stays in its team's
-- audit log. $1 team id, $2 project id
DELETE FROM projects WHERE team_id = $1 AND id = $2
RETURNING id
