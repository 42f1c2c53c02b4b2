-- Finish a claimed job, or send it back when its source has grown since the claim; no row touched means that the claim is
-- lost.
UPDATE jobs SET
    status = CASE WHEN revision = :revision THEN 'completed' ELSE 'queued' END,
    completed_at = CASE WHEN revision = :revision THEN :now END,
    attempts = CASE WHEN revision = :revision THEN attempts ELSE 0 END,
    next_attempt_at = :now, locked_by = NULL, locked_until = NULL, last_error = NULL, updated_at = :now
WHERE id = :id AND status = 'processing' AND locked_by = :token
