-- A team's projects, by name. $1 team id, $2 only this project or null, $3 only this key or null, $4 only this name or null
SELECT id, team_id, key, name, created_at, updated_at
FROM projects
WHERE team_id = $1
    AND ($2::uuid IS NULL OR id = $2)
    AND ($3::text IS NULL OR key = $3)
    AND ($4::text IS NULL OR name = $4)
ORDER BY name, id
