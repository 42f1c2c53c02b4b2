-- Give a claimed job back for another attempt, or fail it when there is none left or none is wanted; no row means that
-- the claim is lost. $1 team id, $2 project id, $3 job id, $4 attempt, $5 wait before the next attempt, null for none,
-- $6 reason
WITH moved AS (
    UPDATE observation_generation_jobs SET
        status = CASE WHEN $5::interval IS NOT NULL AND attempts < max_attempts THEN 'queued' ELSE 'failed' END,
        failed_at = CASE WHEN $5::interval IS NOT NULL AND attempts < max_attempts THEN NULL ELSE now() END,
        next_attempt_at = now() + coalesce($5::interval, interval '0'),
        locked_by = NULL, locked_until = NULL, last_error = $6, updated_at = now()
    WHERE team_id = $1 AND project_id = $2 AND id = $3 AND status = 'processing' AND attempts = $4
    RETURNING id, project_id, team_id, attempts, status
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt, detail)
    SELECT
        id, project_id, team_id, CASE status WHEN 'queued' THEN 'retry_scheduled' ELSE 'failed' END, attempts, $6
    FROM moved
)
SELECT id, status FROM moved
