-- How many jobs pass a filter. $1 team id, $2 project id or null, $3 status or null, $4 source types or null,
-- $5 session id or null, $6 since or null, $7 until or null
SELECT count(*) AS jobs
FROM observation_generation_jobs
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND ($3::text IS NULL OR status = $3)
    AND ($4::text[] IS NULL OR source_type = ANY ($4))
    AND ($5::uuid IS NULL OR server_session_id = $5)
    AND ($6::timestamptz IS NULL OR created_at >= $6)
    AND ($7::timestamptz IS NULL OR created_at <= $7)
