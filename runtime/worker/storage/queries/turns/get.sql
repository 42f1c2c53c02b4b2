SELECT id, project_id, session_id, is_open, is_private
FROM turns
WHERE id = :id
