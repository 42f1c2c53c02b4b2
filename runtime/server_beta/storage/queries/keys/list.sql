-- A team's keys, newest first. $1 team id, $2 only this project or null, $3 only this status or null, $4 now,
-- $5 and $6 the last row of the page before or null, $7 how many at most
SELECT id, team_id, project_id, name, scopes, expires_at, revoked_at, last_used_at, created_at, created_by, rotated_from,
    installation_id
FROM api_keys
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND (
        $3::text IS NULL
        OR $3 = CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= $4 THEN 'expired' ELSE 'active' END
    )
    AND ($5::timestamptz IS NULL OR (created_at, id) < ($5, $6::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $7
