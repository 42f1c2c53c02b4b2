-- $1 team id, $2 only a key of this project or null, $3 key id
UPDATE api_keys SET revoked_at = now()
WHERE team_id = $1 AND ($2::uuid IS NULL OR project_id = $2) AND id = $3 AND revoked_at IS NULL
RETURNING
    id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at, created_by, rotated_from,
    installation_id
