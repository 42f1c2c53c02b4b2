-- Whether another batch of the claim's turn has read more of it, and is done. $1 team id, $2 project id, $3 session id,
-- $4 turn key, $5 how many events this one has read
SELECT id
FROM observation_generation_jobs
WHERE team_id = $1 AND project_id = $2 AND server_session_id = $3 AND turn_key = $4
    AND status = 'completed' AND covered_events > $5
LIMIT 1
