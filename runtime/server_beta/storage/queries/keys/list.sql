-- A team's keys, oldest first. $1 team id
SELECT id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at
FROM api_keys
WHERE team_id = $1
ORDER BY created_at, id
