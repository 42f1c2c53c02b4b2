-- Due jobs that the transport does not know of, or has had for so long without one being claimed that it must have lost
-- them. $1 how old a job must be that was never published, $2 how long a published job may wait, $3 at most
SELECT id, project_id, team_id, source_type, attempts, request_id
FROM observation_generation_jobs
WHERE status = 'queued'
    AND next_attempt_at <= now()
    AND (
        (enqueued_attempt IS DISTINCT FROM attempts AND updated_at < now() - $1::interval)
        OR enqueued_at < now() - $2::interval
    )
ORDER BY next_attempt_at
LIMIT $3
