-- Newest first. $1 team id, $2 project id or null, $3 status or null, $4 source types or null, $5 session id or null,
-- $6 since or null, $7 until or null, $8 and $9 the last row of the page before, or null, $10 at most, $11 how many to
-- leave out
SELECT
    id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, turn_key, job_type, status,
    transport_id, attempts, max_attempts, next_attempt_at, completed_at, failed_at, cancelled_at, last_error,
    created_at, updated_at
FROM observation_generation_jobs
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND ($3::text IS NULL OR status = $3)
    AND ($4::text[] IS NULL OR source_type = ANY ($4))
    AND ($5::uuid IS NULL OR server_session_id = $5)
    AND ($6::timestamptz IS NULL OR created_at >= $6)
    AND ($7::timestamptz IS NULL OR created_at <= $7)
    AND ($8::timestamptz IS NULL OR (created_at, id) < ($8, $9::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $10
OFFSET $11
