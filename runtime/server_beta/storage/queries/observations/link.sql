-- Tie an observation to its source, once. $1 observation id, $2 project id, $3 team id, $4 source type, $5 source id,
-- $6 job id or null
INSERT INTO observation_sources (observation_id, project_id, team_id, source_type, source_id, job_id)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (observation_id, source_type, source_id) DO NOTHING
