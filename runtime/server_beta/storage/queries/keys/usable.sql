-- Which of these keys are still good. $1 key ids
SELECT id FROM api_keys
WHERE id = ANY ($1) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
