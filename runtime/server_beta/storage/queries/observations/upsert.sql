-- Store an observation; the same generation key is the same observation. $1 id, $2 project id, $3 team id,
-- $4 session id or null, $5 kind, $6 title, $7 subtitle, $8 narrative, $9 facts, $10 concepts, $11 files read,
-- $12 files modified, $13 metadata, $14 content, $15 generation key or null, $16 when it happened
INSERT INTO observations (
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, generation_key, created_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (team_id, project_id, generation_key) DO UPDATE SET updated_at = now()
RETURNING
    id, project_id, team_id, server_session_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, content, created_at, updated_at
