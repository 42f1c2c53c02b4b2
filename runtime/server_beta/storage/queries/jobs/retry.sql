-- Queue a failed or cancelled job again, with at least one attempt left; a queued one becomes due and is published again.
-- This transaction holds the job (jobs/hold.sql). Returns how it stood before, which says whether anything changed; no
-- row means that it is not there. $1 team id, $2 project id, $3 job id, $4 the key that answers for the job from now on,
-- or null, $5 request id, $6 who did it
WITH found AS (
    SELECT id, project_id, team_id, source_type, attempts, status AS stood
    FROM observation_generation_jobs
    WHERE team_id = $1 AND project_id = $2 AND id = $3
),
moved AS (
    UPDATE observation_generation_jobs AS job SET
        status = 'queued', failed_at = NULL, cancelled_at = NULL, last_error = NULL,
        max_attempts = greatest(job.max_attempts, job.attempts + 1), next_attempt_at = now(),
        enqueued_attempt = NULL, enqueued_at = NULL, api_key_id = $4, request_id = $5, updated_at = now()
    FROM found
    WHERE job.team_id = $1 AND job.project_id = $2 AND job.id = found.id
        AND job.status IN ('queued', 'failed', 'cancelled')
    RETURNING job.id
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt, detail)
    SELECT found.id, found.project_id, found.team_id, 'queued', found.attempts, 'retried by ' || $6
    FROM found
    JOIN moved USING (id)
    WHERE found.stood <> 'queued'
)
SELECT id, project_id, team_id, source_type, attempts, $5::text AS request_id, stood FROM found
