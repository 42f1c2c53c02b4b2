-- The newest session that a client names by its own id, in whichever project. $1 team id, $2 only this project or null,
-- $3 platform, $4 the client's session id
SELECT
    session.id, session.project_id, session.team_id, session.external_session_id, session.content_session_id,
    session.agent_id, session.agent_type, session.platform_source, session.generation_status, session.context_owed,
    session.project_root, session.metadata, session.started_at, session.ended_at, session.last_generated_at,
    session.created_at, session.updated_at
FROM projects AS project
JOIN server_sessions AS session
    ON session.project_id = project.id
    AND session.team_id = project.team_id
    AND session.platform_source = $3
    AND session.external_session_id = $4
WHERE project.team_id = $1 AND ($2::uuid IS NULL OR project.id = $2)
ORDER BY session.created_at DESC, session.id DESC
LIMIT 1
