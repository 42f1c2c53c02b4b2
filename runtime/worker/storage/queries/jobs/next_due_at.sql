-- When the next waiting job is due; null when none waits.
SELECT min(next_attempt_at) AS next_attempt_at
FROM jobs
WHERE status = 'queued'
