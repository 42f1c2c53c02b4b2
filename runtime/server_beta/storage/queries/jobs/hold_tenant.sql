-- Keep a team and its project from being deleted during this transaction, in the order in which a delete takes them; no
-- row means that they are gone. $1 team id, $2 project id
SELECT project.id
FROM teams AS team
JOIN projects AS project ON project.team_id = team.id
WHERE team.id = $1 AND project.team_id = $1 AND project.id = $2
FOR KEY SHARE OF team
FOR KEY SHARE OF project
