-- Note that an observation is about a file.
INSERT INTO observation_files (observation, path, is_modified)
SELECT sequence, :path, :is_modified
FROM observations
WHERE id = :id
ON CONFLICT DO NOTHING
