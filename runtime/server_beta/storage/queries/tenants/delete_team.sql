-- Delete a team that has no project, with its audit log and all else that it owns; no row means that it is not there, or
-- has one. $1 team id
DELETE FROM teams
WHERE id = $1 AND NOT EXISTS (SELECT FROM projects WHERE team_id = $1)
RETURNING id
