-- What was done, newest first. $1 team id, and each of these unless null: $2 project, $3 action, $4 resource type,
-- $5 resource id, $6 actor, $7 not before, $8 not after, $9 and $10 the last row of the page before; $11 how many at most
SELECT
    id, team_id, project_id, actor, api_key_id, action, resource_type, resource_id, request_id, details, created_at
FROM audit_log
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND ($3::text IS NULL OR action = $3)
    AND ($4::text IS NULL OR resource_type = $4)
    AND ($5::text IS NULL OR resource_id = $5)
    AND ($6::text IS NULL OR actor = $6)
    AND ($7::timestamptz IS NULL OR created_at >= $7)
    AND ($8::timestamptz IS NULL OR created_at <= $8)
    AND ($9::timestamptz IS NULL OR (created_at, id) < ($9, $10::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $11
