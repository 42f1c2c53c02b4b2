-- What :short_id, the last eight digits of an id, names: nearly always one at most.
SELECT
    sequence, id, project_id, session_id, kind, title, subtitle, narrative, facts, concepts, files_read, files_modified,
    metadata, created_at, updated_at
FROM observations
WHERE substr(id, -8) = :short_id
ORDER BY created_at, sequence
LIMIT :limit
