-- Take turns at what is done once for a team. $1 team id
SELECT id FROM teams WHERE id = $1 FOR NO KEY UPDATE
