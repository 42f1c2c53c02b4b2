-- A key by the SHA-256 of its text, usable or not. $1 hash
SELECT id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at, created_by, rotated_from,
    installation_id
FROM api_keys
WHERE key_hash = $1
