-- Make a local key from before data folders had an identity the key of this one, unless it has another.
-- $1 team id, $2 data folder, $3 key id
UPDATE api_keys SET installation_id = $2
WHERE team_id = $1 AND project_id IS NULL AND id = $3 AND installation_id IS NULL AND revoked_at IS NULL
    AND NOT EXISTS (
        SELECT FROM api_keys AS other
        WHERE other.team_id = $1 AND other.installation_id = $2 AND other.revoked_at IS NULL
    )
