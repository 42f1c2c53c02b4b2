-- Delete the jobs of a project, or of all of a team's. $1 team id, $2 project id or null
DELETE FROM observation_generation_jobs
WHERE team_id = $1 AND ($2::uuid IS NULL OR project_id = $2)
