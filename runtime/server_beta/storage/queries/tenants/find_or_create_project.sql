-- Find a team's project by its key, or create it. $1 new project id, $2 team id, $3 key, $4 name
-- The update that changes nothing makes the row of a concurrent insert come back.
INSERT INTO projects (id, team_id, key, name)
VALUES ($1, $2, $3, $4)
ON CONFLICT (team_id, key) DO UPDATE SET name = projects.name
RETURNING id, team_id, key, name, created_at, updated_at
