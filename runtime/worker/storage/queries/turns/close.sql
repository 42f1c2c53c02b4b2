-- From here on the turn has a job.
UPDATE turns SET is_open = 0
WHERE id = :id
