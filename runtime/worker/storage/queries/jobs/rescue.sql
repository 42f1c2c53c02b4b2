-- Give back every job whose lease ended before :before (null: every one, at a start); the attempt stays spent.
UPDATE jobs SET
    status = CASE WHEN attempts < max_attempts THEN 'queued' ELSE 'failed' END,
    failed_at = CASE WHEN attempts < max_attempts THEN NULL ELSE :now END,
    next_attempt_at = :now, locked_by = NULL, locked_until = NULL, updated_at = :now,
    last_error = 'the process that had claimed this job went silent'
WHERE status = 'processing' AND (:before IS NULL OR locked_until < :before)
