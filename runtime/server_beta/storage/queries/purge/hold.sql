-- Let nobody write into a project, and wait until nobody does; whoever deletes in it takes this before anything else, so
-- that it meets nobody halfway who holds the project and wants what is in it. No row means that it is not there. $1 team id,
-- $2 project id
SELECT id FROM projects WHERE team_id = $1 AND id = $2 FOR UPDATE
