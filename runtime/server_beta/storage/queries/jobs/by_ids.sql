-- $1 team id, $2 job ids
SELECT
    id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, turn_key, job_type, status,
    transport_id, attempts, max_attempts, next_attempt_at, completed_at, failed_at, cancelled_at, last_error,
    created_at, updated_at
FROM observation_generation_jobs
WHERE team_id = $1 AND id = ANY ($2)
