-- Give a claimed job back unspent, because this process stops.
UPDATE jobs SET
    status = 'queued', attempts = attempts - 1, next_attempt_at = :now, locked_by = NULL, locked_until = NULL,
    updated_at = :now
WHERE id = :id AND status = 'processing' AND locked_by = :token
