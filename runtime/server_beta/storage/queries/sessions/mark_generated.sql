-- $1 team id, $2 project id, $3 session id
UPDATE server_sessions SET last_generated_at = now(), generation_status = 'completed', updated_at = now()
WHERE team_id = $1 AND project_id = $2 AND id = $3
