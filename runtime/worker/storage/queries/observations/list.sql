-- Newest first. Null means any; :after_created_at and :after_sequence name the last row of the page before.
SELECT
    sequence, id, project_id, session_id, kind, title, subtitle, narrative, facts, concepts, files_read, files_modified,
    metadata, created_at, updated_at
FROM observations
WHERE (:project_id IS NULL OR project_id = :project_id)
    AND (:kind IS NULL OR kind = :kind)
    AND (:session_id IS NULL OR session_id = :session_id)
    AND (:since IS NULL OR created_at >= :since)
    AND (:until IS NULL OR created_at <= :until)
    AND (
        :after_created_at IS NULL
        OR created_at < :after_created_at
        OR (created_at = :after_created_at AND sequence < :after_sequence)
    )
ORDER BY created_at DESC, sequence DESC
LIMIT :limit
