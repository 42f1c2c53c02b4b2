-- Queue a session's summary unless one is waiting already. $1 job id, $2 team id, $3 project id, $4 session id,
-- $5 what the summary follows: a batch job or the end of the session, $6 request id, $7 the key that asked, or
-- null
WITH queued AS (
    INSERT INTO observation_generation_jobs (
        id, project_id, team_id, source_type, source_id, server_session_id, request_id, api_key_id
    )
    SELECT $1, $3, $2, 'session_summary', $5, $4, $6, $7
    WHERE NOT EXISTS (
        SELECT FROM observation_generation_jobs
        WHERE server_session_id = $4 AND source_type = 'session_summary' AND status = 'queued'
    )
    ON CONFLICT (team_id, project_id, source_type, source_id, job_type) DO NOTHING
    RETURNING id, project_id, team_id, source_type, attempts, request_id
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
    SELECT id, project_id, team_id, 'queued', 0 FROM queued
)
SELECT id, project_id, team_id, source_type, attempts, request_id FROM queued
