SELECT
    sequence, id, project_id, session_id, kind, title, subtitle, narrative, facts, concepts, files_read, files_modified,
    metadata, created_at, updated_at
FROM observations
WHERE id = :id
