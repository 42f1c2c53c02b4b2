-- Give a claimed job back for another attempt at :next_attempt_at, or fail it when there is none left or none is wanted
-- (null); no row touched means that the claim is lost.
UPDATE jobs SET
    status = CASE WHEN :next_attempt_at IS NOT NULL AND attempts < max_attempts THEN 'queued' ELSE 'failed' END,
    failed_at = CASE WHEN :next_attempt_at IS NOT NULL AND attempts < max_attempts THEN NULL ELSE :now END,
    next_attempt_at = coalesce(:next_attempt_at, :now),
    locked_by = NULL, locked_until = NULL, last_error = :reason, updated_at = :now
WHERE id = :id AND status = 'processing' AND locked_by = :token
