-- Tie an observation to its source, once; no row means that the observation is not there. An event or a session of
-- another project cannot be a source. $1 observation id, $2 project id, $3 team id, $4 source type, $5 source id,
-- $6 job id or null
INSERT INTO observation_sources (
    observation_id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, job_id
)
SELECT
    id, project_id, team_id, $4, $5,
    CASE $4 WHEN 'agent_event' THEN $5::uuid END,
    CASE $4 WHEN 'event_batch' THEN server_session_id WHEN 'session_summary' THEN $5::uuid END,
    $6
FROM observations
WHERE id = $1 AND project_id = $2 AND team_id = $3
ON CONFLICT (observation_id, source_type, source_id) DO UPDATE SET
    job_id = coalesce(excluded.job_id, observation_sources.job_id)
RETURNING observation_id
