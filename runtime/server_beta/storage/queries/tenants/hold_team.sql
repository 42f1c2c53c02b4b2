-- Let nobody make anything for a team, and wait until nobody does. $1 team id
SELECT id FROM teams WHERE id = $1 FOR UPDATE
