-- Delete jobs of a project with their history; those that the transport may still hold are named. $1 team id,
-- $2 project id, $3 at most
WITH gone AS (
    DELETE FROM observation_generation_jobs
    WHERE team_id = $1 AND project_id = $2
        AND id = ANY (
            ARRAY(SELECT id FROM observation_generation_jobs WHERE team_id = $1 AND project_id = $2 LIMIT $3)
        )
    RETURNING id, source_type, attempts, status
)
SELECT
    count(*) AS jobs,
    array_agg(id) FILTER (WHERE status <> 'completed') AS held_ids,
    array_agg(source_type) FILTER (WHERE status <> 'completed') AS held_types,
    array_agg(attempts) FILTER (WHERE status <> 'completed') AS held_attempts
FROM gone
