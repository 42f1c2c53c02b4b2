-- Any word of the question, the best matches first. $1 team id, $2 project id or null, $3 the question, $4 at most,
-- $5 skip, $6 kinds or null, $7 since or null, $8 until or null, $9 files or null
WITH question AS (
    -- plainto_tsquery never fails, whatever the text; its ANDs become ORs.
    SELECT replace(
        (plainto_tsquery('english', $3) && plainto_tsquery('simple', $3))::text, '&', '|'
    )::tsquery AS any_word
),
best AS MATERIALIZED (
    SELECT
        observations.*,
        any_word,
        -- How near the words are to each other costs their number squared: a pasted page is ranked without that.
        CASE WHEN numnode(any_word) <= 40
            THEN ts_rank_cd(content_search, any_word, 1)
            ELSE ts_rank(content_search, any_word, 1)
        END AS score
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
)
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at, score,
    -- Only of what is returned, and of its beginning: parsing a text again costs more than having found it.
    ts_headline('english', left(content, 8000), any_word, 'MaxWords=30, MinWords=10, StartSel="", StopSel=""') AS snippet
FROM best
ORDER BY score DESC, created_at DESC, id DESC
