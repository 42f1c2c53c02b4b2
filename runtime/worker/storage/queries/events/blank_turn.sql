-- Forget what was stored of a turn that turns out to be private.
UPDATE events SET payload = '{}'
WHERE turn_id = :turn_id
