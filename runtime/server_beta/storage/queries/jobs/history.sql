-- The newest of what happened to a job, oldest first. $1 team id, $2 project id, $3 job id, $4 at most
SELECT event, attempt, detail, created_at
FROM (
    SELECT id, event, attempt, detail, created_at
    FROM observation_generation_job_events
    WHERE team_id = $1 AND project_id = $2 AND job_id = $3
    ORDER BY id DESC
    LIMIT $4
) AS newest
ORDER BY id
