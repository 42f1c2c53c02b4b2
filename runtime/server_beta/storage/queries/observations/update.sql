-- Write a changed observation; no row means that it is not there. $1 team id, $2 project id, $3 observation id, $4 kind,
-- $5 title, $6 subtitle, $7 narrative, $8 facts, $9 concepts, $10 files read, $11 files modified, $12 metadata,
-- $13 content
-- Of two changes at once the second waits for the first, and must not seem to be the older one.
UPDATE observations SET
    kind = $4, title = $5, subtitle = $6, narrative = $7, facts = $8, concepts = $9, files_read = $10,
    files_modified = $11, metadata = $12, content = $13, updated_at = clock_timestamp()
WHERE team_id = $1 AND project_id = $2 AND id = $3
RETURNING
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
