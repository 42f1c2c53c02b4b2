-- A key that nobody else changes before this transaction ends. $1 team id, $2 only a key of this project or null,
-- $3 key id
SELECT id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at, created_by, rotated_from,
    installation_id
FROM api_keys
WHERE team_id = $1 AND ($2::uuid IS NULL OR project_id = $2) AND id = $3
FOR NO KEY UPDATE
