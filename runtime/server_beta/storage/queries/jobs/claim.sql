-- Take a job that is due; no row means: not mine. The row says whether the key that asked for the job has been revoked
-- since. $1 team id, $2 project id, $3 job id, $4 source type, $5 who, $6 lease
WITH claimed AS (
    UPDATE observation_generation_jobs SET
        status = 'processing',
        attempts = attempts + 1,
        locked_by = $5,
        locked_until = now() + $6::interval,
        updated_at = now()
    WHERE team_id = $1 AND project_id = $2 AND id = $3 AND source_type = $4
        AND status = 'queued' AND attempts < max_attempts AND next_attempt_at <= now()
    RETURNING id, team_id, project_id, server_session_id, source_type, source_id, turn_key, attempts, max_attempts,
        locked_until, api_key_id, request_id
),
lifecycle AS (
    INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
    SELECT id, project_id, team_id, 'processing', attempts FROM claimed
)
SELECT id, team_id, project_id, server_session_id, source_type, source_id, turn_key, attempts, max_attempts,
    locked_until, api_key_id, request_id,
    EXISTS (
        SELECT FROM api_keys AS asker
        WHERE asker.id = claimed.api_key_id AND asker.team_id = claimed.team_id AND asker.revoked_at IS NOT NULL
    ) AS is_key_revoked
FROM claimed
