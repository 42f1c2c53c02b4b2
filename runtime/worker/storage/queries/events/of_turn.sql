-- The events of one turn in the order in which they happened.
SELECT event_type, payload, occurred_at
FROM events
WHERE turn_id = :turn_id
ORDER BY occurred_at, sequence
LIMIT 2000
