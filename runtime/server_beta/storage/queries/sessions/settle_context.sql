-- Take over the delivery of an owed context; of two that try, one gets the row. $1 team id, $2 project id, $3 session id
UPDATE server_sessions SET context_owed = false, updated_at = now()
WHERE team_id = $1 AND project_id = $2 AND id = $3 AND context_owed
RETURNING id
