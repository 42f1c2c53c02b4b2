-- The newest job of each event, for replays. $1 team id, $2 event ids
SELECT DISTINCT ON (source_id)
    id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, turn_key, job_type, status,
    transport_id, attempts, max_attempts, next_attempt_at, completed_at, failed_at, cancelled_at, last_error,
    created_at, updated_at
FROM observation_generation_jobs
WHERE team_id = $1 AND (agent_event_id = ANY ($2) OR closing_event_id = ANY ($2))
ORDER BY source_id, created_at DESC
