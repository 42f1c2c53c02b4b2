-- Make sure that a team exists. $1 team id, $2 name
INSERT INTO teams (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING
