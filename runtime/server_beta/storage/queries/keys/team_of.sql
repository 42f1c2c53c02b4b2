-- Whose key this is, for the operator, who knows every team. $1 key id
SELECT team_id FROM api_keys WHERE id = $1
