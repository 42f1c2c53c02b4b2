-- End the local key of a data folder, whose file does not hold it any more. $1 team id, $2 data folder
UPDATE api_keys SET revoked_at = now()
WHERE team_id = $1 AND project_id IS NULL AND installation_id = $2 AND revoked_at IS NULL
RETURNING id
