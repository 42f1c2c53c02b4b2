-- How many due jobs the transport was not told of, counted up to a bound. $1 the bound
SELECT count(*) AS jobs
FROM (
    SELECT
    FROM observation_generation_jobs
    WHERE status = 'queued' AND next_attempt_at <= now() AND enqueued_attempt IS DISTINCT FROM attempts
    LIMIT $1
) AS waiting
