-- End a session; ending it again keeps the first time.
UPDATE sessions SET ended_at = coalesce(ended_at, :now), updated_at = :now
WHERE id = :id
