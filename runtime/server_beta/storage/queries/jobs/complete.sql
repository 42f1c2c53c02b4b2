-- Finish a claimed job; no row means that the claim is lost. $1 team id, $2 project id, $3 job id, $4 attempt,
-- $5 how many events it had read
WITH done AS (
    UPDATE observation_generation_jobs SET
        status = 'completed', completed_at = now(), locked_by = NULL, locked_until = NULL, last_error = NULL,
        covered_events = $5, updated_at = now()
    WHERE team_id = $1 AND project_id = $2 AND id = $3 AND status = 'processing' AND attempts = $4
    RETURNING id, project_id, team_id, attempts
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
    SELECT id, project_id, team_id, 'completed', attempts FROM done
)
SELECT id FROM done
