-- Note that keys were used, at most once a minute each. $1 key ids
UPDATE api_keys SET last_used_at = now()
WHERE id = ANY ($1) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
