-- Give a claimed job back unspent, because this process stops. $1 team id, $2 project id, $3 job id, $4 attempt
WITH moved AS (
    UPDATE observation_generation_jobs SET
        status = 'queued', max_attempts = max_attempts + 1, next_attempt_at = now(), locked_by = NULL,
        locked_until = NULL, updated_at = now()
    WHERE team_id = $1 AND project_id = $2 AND id = $3 AND status = 'processing' AND attempts = $4
    RETURNING id, project_id, team_id, attempts
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt, detail)
    SELECT id, project_id, team_id, 'retry_scheduled', attempts, 'released by a stopping consumer' FROM moved
)
SELECT id FROM moved
