-- Cancel a job that is queued or being worked on, and that this transaction holds (jobs/hold.sql). Returns how it stood
-- before, which says whether anything changed; no row means that it is not there. $1 team id, $2 project id, $3 job id,
-- $4 who did it
WITH found AS (
    SELECT id, project_id, team_id, attempts, status AS stood
    FROM observation_generation_jobs
    WHERE team_id = $1 AND project_id = $2 AND id = $3
),
moved AS (
    UPDATE observation_generation_jobs AS job SET
        status = 'cancelled', cancelled_at = now(), locked_by = NULL, locked_until = NULL, updated_at = now()
    FROM found
    WHERE job.team_id = $1 AND job.project_id = $2 AND job.id = found.id AND job.status IN ('queued', 'processing')
    RETURNING job.id
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt, detail)
    SELECT found.id, found.project_id, found.team_id, 'cancelled', found.attempts, 'cancelled by ' || $4
    FROM found
    JOIN moved USING (id)
)
SELECT stood FROM found
