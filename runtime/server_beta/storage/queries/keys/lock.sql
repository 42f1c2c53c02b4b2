-- A key that nobody else changes before this transaction ends; its team and its project first, in the order in which a
-- delete takes them. $1 team id, $2 only a key of this project or null, $3 key id
WITH team AS (
    SELECT id FROM teams WHERE id = $1 FOR KEY SHARE
),
project AS (
    SELECT id FROM projects
    WHERE team_id = $1 AND id = (SELECT project_id FROM api_keys WHERE team_id = $1 AND id = $3)
    FOR KEY SHARE
)
SELECT id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at, created_by, rotated_from,
    installation_id
FROM api_keys
WHERE team_id = $1 AND ($2::uuid IS NULL OR project_id = $2) AND id = $3
    -- Counted, so that they are held before a key is looked for.
    AND (SELECT count(*) FROM team) = 1
    AND (SELECT count(*) FROM project) <= 1
FOR NO KEY UPDATE
