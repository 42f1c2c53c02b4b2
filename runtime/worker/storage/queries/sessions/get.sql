SELECT id, project_id, external_session_id, project_root, started_at
FROM sessions
WHERE id = :id
