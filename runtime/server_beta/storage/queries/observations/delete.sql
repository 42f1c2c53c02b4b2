-- Delete an observation; no row means that it is not there. $1 team id, $2 project id, $3 observation id
DELETE FROM observations WHERE team_id = $1 AND project_id = $2 AND id = $3
RETURNING id
