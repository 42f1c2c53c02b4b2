-- The session that a client names by its own id. $1 project id, $2 team id, $3 platform, $4 the client's session id
SELECT
    id, project_id, team_id, external_session_id, content_session_id, agent_id, agent_type, platform_source,
    generation_status, context_owed, project_root, metadata, started_at, ended_at, last_generated_at, created_at, updated_at
FROM server_sessions
WHERE project_id = $1 AND team_id = $2 AND platform_source = $3
    AND (external_session_id = $4 OR content_session_id = $4)
ORDER BY created_at DESC
LIMIT 1
