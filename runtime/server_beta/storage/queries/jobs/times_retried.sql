-- How often a job was queued again by somebody. $1 team id, $2 project id, $3 job id
SELECT count(*) - 1 AS times
FROM observation_generation_job_events
WHERE team_id = $1 AND project_id = $2 AND job_id = $3 AND event = 'queued'
