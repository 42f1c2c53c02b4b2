-- Find a session by (project, platform, external id), or create it; two racing clients get the same row. No row
-- comes back when it is another team's.
-- $1 new session id, $2 project id, $3 team id, $4 external id or null, $5 content id, $6 agent id, $7 agent type,
-- $8 platform, $9 project root, $10 metadata
INSERT INTO server_sessions (
    id, project_id, team_id, external_session_id, content_session_id, agent_id, agent_type, platform_source,
    project_root, metadata
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (project_id, platform_source, external_session_id) DO UPDATE SET
    content_session_id = coalesce(excluded.content_session_id, server_sessions.content_session_id),
    project_root = coalesce(excluded.project_root, server_sessions.project_root),
    updated_at = now()
WHERE server_sessions.team_id = excluded.team_id
RETURNING
    id, project_id, team_id, external_session_id, content_session_id, agent_id, agent_type, platform_source,
    generation_status, context_owed, project_root, metadata, started_at, ended_at, last_generated_at, created_at, updated_at
