-- End a session; no row when it has ended before, or is not there. $1 team id, $2 project id, $3 session id
UPDATE server_sessions SET ended_at = now(), updated_at = now()
WHERE team_id = $1 AND project_id = $2 AND id = $3 AND ended_at IS NULL
RETURNING
    id, project_id, team_id, external_session_id, content_session_id, agent_id, agent_type, platform_source,
    generation_status, context_owed, project_root, metadata, started_at, ended_at, last_generated_at, created_at, updated_at
