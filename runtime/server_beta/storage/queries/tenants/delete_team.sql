-- Delete a team, its audit log and all else that it owns; no row means that it is not there. $1 team id
DELETE FROM teams WHERE id = $1
RETURNING id
