-- Remember that the client started without its context.
UPDATE sessions SET context_owed = 1, updated_at = :now
WHERE id = :id
