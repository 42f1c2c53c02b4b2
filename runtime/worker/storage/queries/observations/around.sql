-- The neighbours of an observation in its project, oldest first, itself among them. :created_at and :sequence are its
-- own; at most :before come before it and :after after it.
SELECT
    sequence, id, project_id, session_id, kind, title, subtitle, narrative, facts, concepts, files_read, files_modified,
    metadata, created_at, updated_at
FROM observations
WHERE sequence IN (
    SELECT sequence
    FROM (
        SELECT sequence
        FROM observations
        WHERE project_id = :project_id AND (created_at, sequence) < (:created_at, :sequence)
        ORDER BY created_at DESC, sequence DESC
        LIMIT :before
    )
    UNION ALL
    SELECT sequence
    FROM (
        SELECT sequence
        FROM observations
        WHERE project_id = :project_id AND (created_at, sequence) >= (:created_at, :sequence)
        ORDER BY created_at, sequence
        LIMIT :after + 1
    )
)
ORDER BY created_at, sequence
