-- Note that keys were used, at most once a minute each; those that somebody changes at the moment are let be. $1 key ids
UPDATE api_keys SET last_used_at = now()
WHERE id = ANY (
    ARRAY(
        SELECT id FROM api_keys
        WHERE id = ANY ($1) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
        FOR NO KEY UPDATE SKIP LOCKED
    )
)
