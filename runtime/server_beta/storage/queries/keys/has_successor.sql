-- Whether a key was rotated already. $1 team id, $2 key id
SELECT EXISTS (SELECT FROM api_keys WHERE team_id = $1 AND rotated_from = $2) AS has_successor
