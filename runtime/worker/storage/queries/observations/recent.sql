-- The newest of a project: summaries, or all others. :since and :but (a session) narrow them where not null.
SELECT
    sequence, id, project_id, session_id, kind, title, subtitle, narrative, facts, concepts, files_read, files_modified,
    metadata, created_at, updated_at
FROM observations
WHERE project_id = :project_id
    AND (kind = 'summary') = :are_summaries
    AND (:since IS NULL OR updated_at >= :since)
    AND (:but IS NULL OR session_id <> :but)
ORDER BY created_at DESC, sequence DESC
LIMIT :limit
