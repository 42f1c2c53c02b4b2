-- $1 team id, $2 session ids
SELECT
    id, project_id, team_id, external_session_id, content_session_id, agent_id, agent_type, platform_source,
    generation_status, context_owed, project_root, metadata, started_at, ended_at, last_generated_at, created_at, updated_at
FROM server_sessions
WHERE team_id = $1 AND id = ANY ($2)
