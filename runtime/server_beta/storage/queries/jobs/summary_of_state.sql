-- The newest summary that knows a session's event: one that waits, or one that was queued after it. $1 team id,
-- $2 project id, $3 session id, $4 event id
SELECT
    id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, turn_key, job_type, status,
    transport_id, attempts, max_attempts, next_attempt_at, completed_at, failed_at, cancelled_at, last_error,
    created_at, updated_at
FROM observation_generation_jobs
WHERE team_id = $1 AND project_id = $2 AND server_session_id = $3 AND source_type = 'session_summary'
    AND (
        status = 'queued'
        OR created_at > (SELECT created_at FROM agent_events WHERE team_id = $1 AND project_id = $2 AND id = $4)
    )
ORDER BY created_at DESC, id DESC
LIMIT 1
