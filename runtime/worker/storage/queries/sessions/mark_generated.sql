UPDATE sessions SET last_generated_at = :now, updated_at = :now
WHERE id = :id
