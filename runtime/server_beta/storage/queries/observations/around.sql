-- An observation and its neighbours in its project, oldest first. $1 team id, $2 project id, $3 and $4 when it was
-- created and its id, $5 how many before it at most, $6 how many after it at most
SELECT
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
FROM observations
WHERE team_id = $1 AND project_id = $2
    AND id IN (
        (
            SELECT id
            FROM observations
            WHERE team_id = $1 AND project_id = $2 AND (created_at, id) < ($3::timestamptz, $4::uuid)
            ORDER BY created_at DESC, id DESC
            LIMIT $5
        )
        UNION ALL
        (
            SELECT id
            FROM observations
            WHERE team_id = $1 AND project_id = $2 AND (created_at, id) >= ($3::timestamptz, $4::uuid)
            ORDER BY created_at, id
            LIMIT $6::bigint + 1
        )
    )
ORDER BY created_at, id
