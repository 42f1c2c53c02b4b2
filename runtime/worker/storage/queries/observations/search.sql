-- What matches :any_term, the best first; what matches :all_terms counts double, and a little for itself because in a small
-- store every word is common; what is about a file that the question names counts most. Kinds, files and the words of the
-- question are lists with U+001F before, between and after; null means any.
WITH found AS (
    SELECT rowid AS sequence, -rank AS score
    FROM observation_words
    WHERE observation_words MATCH :any_term AND rank MATCH 'bm25(8.0, 5.0, 4.0, 3.0, 4.0, 1.0)'
),
strict AS (
    SELECT rowid AS sequence FROM observation_words WHERE observation_words MATCH :all_terms
)
SELECT
    observations.sequence, id, project_id, session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, created_at, updated_at,
    CASE WHEN observations.sequence IN (SELECT sequence FROM strict) THEN 2 * score + 1 ELSE score END
        + CASE WHEN EXISTS (
            SELECT 1 FROM observation_files
            WHERE observation = observations.sequence AND instr(:words, char(31) || path || char(31)) > 0
        ) THEN 10 ELSE 0 END AS score
FROM found
JOIN observations ON observations.sequence = found.sequence
WHERE (:project_id IS NULL OR project_id = :project_id)
    AND (:kinds IS NULL OR instr(:kinds, char(31) || kind || char(31)) > 0)
    AND (:since IS NULL OR created_at >= :since)
    AND (:until IS NULL OR created_at <= :until)
    AND (
        :files IS NULL
        OR EXISTS (
            SELECT 1 FROM observation_files
            WHERE observation = observations.sequence AND instr(:files, char(31) || path || char(31)) > 0
        )
    )
ORDER BY score DESC, created_at DESC, observations.sequence DESC
LIMIT :limit OFFSET :offset
