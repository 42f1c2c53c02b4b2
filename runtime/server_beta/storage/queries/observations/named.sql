-- Observations by their ids or by the last eight digits of them, oldest first. $1 team id, $2 only this project or null,
-- $3 ids, $4 last digits, $5 at most
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
FROM observations
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND (id = ANY ($3::uuid[]) OR right(id::text, 8) = ANY ($4::text[]))
ORDER BY created_at, id
LIMIT $5
