-- Forget what changed long ago; not what somebody deletes at the moment together with its project. $1 how long it is
-- kept, $2 at most
DELETE FROM changes
WHERE seq = ANY (
    ARRAY(
        SELECT seq FROM changes
        WHERE created_at < now() - $1::interval
        ORDER BY created_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
)
