-- Make a session unless the client's id is known; a known one learns a root that it had not.
INSERT INTO sessions (
    id, project_id, platform_source, external_session_id, project_root, started_at, created_at, updated_at
)
VALUES (:id, :project_id, :platform_source, :external_session_id, :project_root, :started_at, :now, :now)
ON CONFLICT (project_id, platform_source, external_session_id) DO UPDATE SET
    project_root = coalesce(sessions.project_root, excluded.project_root)
