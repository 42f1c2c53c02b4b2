-- The turns of a session that nobody closed. :but is the turn that goes on, or null.
SELECT id, project_id, session_id, is_open, is_private
FROM turns
WHERE session_id = :session_id AND is_open = 1 AND (:but IS NULL OR id <> :but)
ORDER BY last_event_at
