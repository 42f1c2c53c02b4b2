-- The open turns in which nothing happened since :before.
SELECT id, project_id, session_id, is_open, is_private
FROM turns
WHERE is_open = 1 AND last_event_at < :before
ORDER BY last_event_at
LIMIT 500
