-- What changed a file before, newest first. $1 team id, $2 project id, $3 path from the project root, $4 at most
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
FROM observations
WHERE team_id = $1 AND project_id = $2 AND files_modified @> ARRAY[$3::text] AND kind <> 'summary'
ORDER BY created_at DESC, id DESC
LIMIT $4
