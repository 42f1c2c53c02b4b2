-- Revoke a key that is not revoked yet. $1 team id, $2 key id
UPDATE api_keys SET revoked_at = now()
WHERE team_id = $1 AND id = $2 AND revoked_at IS NULL
RETURNING id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at
