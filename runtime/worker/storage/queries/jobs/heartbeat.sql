-- Keep a claim alive; no row touched means that it is lost.
UPDATE jobs SET locked_until = :until
WHERE id = :id AND status = 'processing' AND locked_by = :token
