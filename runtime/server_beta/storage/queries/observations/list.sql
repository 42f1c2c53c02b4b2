-- Newest first. $1 team id, $2 project id or null, $3 kind or null, $4 session id or null, $5 since or null,
-- $6 until or null, $7 and $8 the last row of the page before, or null, $9 at most
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
FROM observations
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND ($3::text IS NULL OR kind = $3)
    AND ($4::uuid IS NULL OR server_session_id = $4)
    AND ($5::timestamptz IS NULL OR created_at >= $5)
    AND ($6::timestamptz IS NULL OR created_at <= $6)
    AND ($7::timestamptz IS NULL OR (created_at, id) < ($7, $8::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $9
