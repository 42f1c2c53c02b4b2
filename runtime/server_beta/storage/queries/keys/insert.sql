-- $1 key id, $2 team id, $3 project id or null, $4 name, $5 hash, $6 scopes, $7 expiry or null, $8 who made it,
-- $9 the key that it replaces or null, $10 the data folder whose local key it is or null
INSERT INTO api_keys
    (id, team_id, project_id, name, key_hash, scopes, expires_at, created_by, rotated_from, installation_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING
    id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at, created_by, rotated_from,
    installation_id
