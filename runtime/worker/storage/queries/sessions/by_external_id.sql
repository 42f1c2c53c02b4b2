SELECT id, project_id, external_session_id, project_root, started_at
FROM sessions
WHERE project_id = :project_id AND platform_source = :platform_source AND external_session_id = :external_session_id
