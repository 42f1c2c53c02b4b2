-- Give back every job whose claimer went silent; the attempt stays spent. No arguments
-- A job that fails writes into its project's log of changes, so that the project is held with it; neither is waited for.
WITH silent AS (
    SELECT job.id, job.project_id, job.team_id
    FROM observation_generation_jobs AS job
    CROSS JOIN LATERAL (
        SELECT FROM projects
        WHERE id = job.project_id AND team_id = job.team_id
        FOR KEY SHARE SKIP LOCKED
    ) AS project
    WHERE job.status = 'processing' AND job.locked_until < now()
    ORDER BY job.locked_until
    LIMIT 500
    FOR UPDATE OF job SKIP LOCKED
),
moved AS (
    UPDATE observation_generation_jobs AS job SET
        status = CASE WHEN attempts < max_attempts THEN 'queued' ELSE 'failed' END,
        failed_at = CASE WHEN attempts < max_attempts THEN NULL ELSE now() END,
        next_attempt_at = now(), locked_by = NULL, locked_until = NULL, updated_at = now(),
        last_error = 'the consumer that had claimed this job went silent'
    FROM silent
    WHERE job.id = silent.id AND job.project_id = silent.project_id AND job.team_id = silent.team_id
        AND job.status = 'processing' AND job.locked_until < now()
    RETURNING job.id, job.project_id, job.team_id, job.attempts, job.status, job.request_id
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt, detail)
    SELECT
        id, project_id, team_id, CASE status WHEN 'queued' THEN 'retry_scheduled' ELSE 'failed' END, attempts,
        'lease expired'
    FROM moved
)
SELECT id, status, request_id FROM moved
