-- $1 team id, $2 key
SELECT id, team_id, key, name, created_at, updated_at FROM projects WHERE team_id = $1 AND key = $2
