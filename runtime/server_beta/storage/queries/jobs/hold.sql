-- Let nobody else move a job before this transaction ends. A statement of its own: one that waits for the job sees it in
-- the rest of itself as it was before the wait. $1 team id, $2 project id, $3 job id
SELECT id FROM observation_generation_jobs
WHERE team_id = $1 AND project_id = $2 AND id = $3
FOR NO KEY UPDATE
