-- Ask for generation from a source. A job that waits or is worked on learns that its source has grown; one that is over
-- waits again, with all its attempts.
INSERT INTO jobs (id, project_id, session_id, source_type, source_id, next_attempt_at, created_at, updated_at)
VALUES (:id, :project_id, :session_id, :source_type, :source_id, :now, :now, :now)
ON CONFLICT (source_type, source_id) DO UPDATE SET
    revision = revision + 1,
    attempts = CASE WHEN status IN ('completed', 'failed') THEN 0 ELSE attempts END,
    next_attempt_at = CASE WHEN status IN ('completed', 'failed') THEN :now ELSE next_attempt_at END,
    status = CASE WHEN status IN ('completed', 'failed') THEN 'queued' ELSE status END,
    completed_at = NULL,
    failed_at = NULL,
    updated_at = :now
