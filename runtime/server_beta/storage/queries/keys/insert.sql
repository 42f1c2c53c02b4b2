-- $1 key id, $2 team id, $3 project id or null, $4 name, $5 hash, $6 scopes, $7 expiry or null
INSERT INTO api_keys (id, team_id, project_id, name, key_hash, scopes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at
