-- Delete events of a project with the jobs that they were the source of; those that the transport may still hold are
-- named. $1 team id, $2 project id, $3 at most
WITH chosen AS MATERIALIZED (
    SELECT ARRAY(SELECT id FROM agent_events WHERE team_id = $1 AND project_id = $2 LIMIT $3) AS ids
),
gone_jobs AS (
    DELETE FROM observation_generation_jobs
    WHERE team_id = $1 AND project_id = $2
        AND (
            agent_event_id = ANY (ARRAY(SELECT unnest(ids) FROM chosen))
            OR closing_event_id = ANY (ARRAY(SELECT unnest(ids) FROM chosen))
        )
    RETURNING id, source_type, attempts, status
),
gone_events AS (
    DELETE FROM agent_events
    WHERE team_id = $1 AND project_id = $2 AND id = ANY (ARRAY(SELECT unnest(ids) FROM chosen))
    RETURNING id
)
SELECT
    (SELECT count(*) FROM gone_events) AS events,
    count(*) AS jobs,
    array_agg(id) FILTER (WHERE status <> 'completed') AS held_ids,
    array_agg(source_type) FILTER (WHERE status <> 'completed') AS held_types,
    array_agg(attempts) FILTER (WHERE status <> 'completed') AS held_attempts
FROM gone_jobs
