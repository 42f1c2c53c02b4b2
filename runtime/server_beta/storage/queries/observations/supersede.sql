-- Delete what an earlier generation made of the same source, keeping what this one made and what somebody has reworded
-- since. $1 team id, $2 project id, $3 source type, $4 source id, $5 ids to keep
DELETE FROM observations
WHERE team_id = $1 AND project_id = $2
    AND id IN (
        SELECT observation_id FROM observation_sources
        WHERE team_id = $1 AND project_id = $2 AND source_type = $3 AND source_id = $4
    )
    AND id <> ALL ($5)
    AND NOT EXISTS (
        SELECT FROM observation_sources AS reworded
        WHERE reworded.observation_id = observations.id AND reworded.source_type = 'manual'
    )
