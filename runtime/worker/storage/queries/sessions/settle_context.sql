-- Take over the delivery of an owed context; no row touched means that there is none.
UPDATE sessions SET context_owed = 0, updated_at = :now
WHERE id = :id AND context_owed = 1
