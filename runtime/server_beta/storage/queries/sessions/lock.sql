-- Hold a session for this transaction; its project first, in the order in which a delete takes them.
-- $1 team id, $2 project id, $3 session id
SELECT session.id
FROM projects AS project
JOIN server_sessions AS session ON session.project_id = project.id AND session.team_id = project.team_id
WHERE project.team_id = $1 AND project.id = $2 AND session.id = $3
FOR KEY SHARE OF project
FOR NO KEY UPDATE OF session
