-- What an event's job made. $1 team id, $2 project id, $3 event id
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
FROM observations
WHERE team_id = $1 AND project_id = $2
    AND id IN (
        SELECT observation_id FROM observation_sources
        WHERE team_id = $1 AND project_id = $2 AND source_type = 'agent_event' AND source_id = $3
    )
ORDER BY created_at, id
