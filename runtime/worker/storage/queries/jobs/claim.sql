-- Take a waiting job; no row touched means: not mine.
UPDATE jobs SET
    status = 'processing', attempts = attempts + 1, locked_by = :token, locked_until = :until, updated_at = :now
WHERE id = :id AND status = 'queued' AND attempts < max_attempts
