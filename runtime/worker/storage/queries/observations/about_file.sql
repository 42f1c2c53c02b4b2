-- What changed a file before, newest first.
SELECT
    sequence, id, project_id, session_id, kind, title, subtitle, narrative, facts, concepts, files_read, files_modified,
    metadata, created_at, updated_at
FROM observations
WHERE project_id = :project_id
    AND kind <> 'summary'
    AND sequence IN (SELECT observation FROM observation_files WHERE path = :path AND is_modified = 1)
ORDER BY created_at DESC, sequence DESC
LIMIT :limit
