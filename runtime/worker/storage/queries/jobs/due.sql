-- The job to work on next: turns before summaries, so that a summary is made once after all of its turns.
SELECT id, project_id, session_id, source_type, source_id, revision, attempts, max_attempts
FROM jobs
WHERE status = 'queued' AND next_attempt_at <= :now
ORDER BY source_type = 'session_summary', next_attempt_at, id
LIMIT 1
