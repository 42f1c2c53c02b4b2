-- End a session; no row when it has ended before, or is not there. $1 team id, $2 project id, $3 session id
-- Its project first, in the order in which a purge takes them: the end is written into the project's log of changes.
WITH held AS (
    SELECT id, team_id FROM projects WHERE team_id = $1 AND id = $2 FOR KEY SHARE
)
UPDATE server_sessions AS session SET ended_at = now(), updated_at = now()
FROM held
WHERE session.team_id = $1 AND session.project_id = $2 AND session.id = $3 AND session.ended_at IS NULL
    AND held.team_id = session.team_id AND held.id = session.project_id
RETURNING
    session.id, session.project_id, session.team_id, session.external_session_id, session.content_session_id,
    session.agent_id, session.agent_type, session.platform_source, session.generation_status, session.context_owed,
    session.project_root, session.metadata, session.started_at, session.ended_at, session.last_generated_at,
    session.created_at, session.updated_at
