-- Let a key that was replaced go on until an instant, unless it would end sooner; it is nobody's local key any more.
-- $1 team id, $2 only a key of this project or null, $3 key id, $4 until when
UPDATE api_keys SET expires_at = least(expires_at, $4), installation_id = NULL
WHERE team_id = $1 AND ($2::uuid IS NULL OR project_id = $2) AND id = $3 AND revoked_at IS NULL
RETURNING
    id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at, created_by, rotated_from,
    installation_id
