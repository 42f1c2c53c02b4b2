-- $1 team id, $2 observation id
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
FROM observations
WHERE team_id = $1 AND id = $2
