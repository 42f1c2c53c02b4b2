SELECT
    id, project_id, session_id, source_type, source_id, status, attempts, max_attempts, next_attempt_at, completed_at,
    failed_at, last_error, created_at, updated_at
FROM jobs
WHERE id = :id
