-- What a session start may show, newest first: summaries and all others each have room. $1 team id, $2 project id,
-- $3 summaries at most, $4 others at most
(
    SELECT
        id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
    FROM observations
    WHERE team_id = $1 AND project_id = $2 AND kind = 'summary'
    ORDER BY created_at DESC, id DESC
    LIMIT $3
)
UNION ALL
(
    SELECT
        id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
    FROM observations
    WHERE team_id = $1 AND project_id = $2 AND kind <> 'summary'
    ORDER BY created_at DESC, id DESC
    LIMIT $4
)
