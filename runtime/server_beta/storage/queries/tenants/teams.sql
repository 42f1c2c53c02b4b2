-- Every team, or the one. $1 only this team or null
SELECT id, name, created_at FROM teams WHERE $1::uuid IS NULL OR id = $1 ORDER BY created_at, id
