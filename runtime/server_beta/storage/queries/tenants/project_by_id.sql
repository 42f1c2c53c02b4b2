-- $1 team id, $2 project id
SELECT id, team_id, key, name, created_at, updated_at FROM projects WHERE team_id = $1 AND id = $2
