-- Keep a claim alive; no row means that it is lost. $1 team id, $2 project id, $3 job id, $4 attempt, $5 lease
UPDATE observation_generation_jobs SET locked_until = now() + $5::interval
WHERE team_id = $1 AND project_id = $2 AND id = $3 AND status = 'processing' AND attempts = $4
RETURNING id
