-- A job of the project that was asked for just now and is not done.
SELECT id FROM jobs
WHERE project_id = :project_id AND status IN ('queued', 'processing') AND updated_at > :since
LIMIT 1
