SELECT 1 AS found FROM events WHERE id = :id
