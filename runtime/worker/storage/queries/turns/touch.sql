-- Note that something happened in a turn, which begins with its first event; once private it stays private.
INSERT INTO turns (id, project_id, session_id, key, is_private, last_event_at, created_at)
VALUES (:id, :project_id, :session_id, :key, :is_private, :now, :now)
ON CONFLICT (id) DO UPDATE SET
    is_private = max(is_private, excluded.is_private),
    last_event_at = excluded.last_event_at
