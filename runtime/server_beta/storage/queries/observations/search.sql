-- Any word of the question, the best matches first. $1 team id, $2 project id or null, $3 the question, $4 at most,
-- $5 skip, $6 kinds or null, $7 since or null, $8 until or null, $9 files or null
WITH question AS (
    -- plainto_tsquery never fails, whatever the text; its ANDs become ORs.
    SELECT replace(
        (plainto_tsquery('english', $3) && plainto_tsquery('simple', $3))::text, '&', '|'
    )::tsquery AS any_word
)
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at,
    ts_rank_cd(content_search, any_word, 1) AS score,
    ts_headline('english', content, any_word, 'MaxWords=30, MinWords=10, StartSel="", StopSel=""') AS snippet
FROM observations, question
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND content_search @@ any_word
    AND ($6::text[] IS NULL OR kind = ANY ($6))
    AND ($7::timestamptz IS NULL OR created_at >= $7)
    AND ($8::timestamptz IS NULL OR created_at <= $8)
    AND ($9::text[] IS NULL OR files_modified && $9 OR files_read && $9)
ORDER BY score DESC, created_at DESC, id DESC
LIMIT $4 OFFSET $5
