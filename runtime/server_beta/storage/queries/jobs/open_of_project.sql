-- Jobs of a project that were queued just now and are not done. $1 team id, $2 project id, $3 how recent
SELECT id FROM observation_generation_jobs
WHERE team_id = $1 AND project_id = $2 AND status IN ('queued', 'processing') AND created_at > now() - $3::interval
LIMIT 1
