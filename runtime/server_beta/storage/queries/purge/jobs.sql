-- Delete jobs of a project with their history. $1 team id, $2 project id, $3 at most
WITH gone AS (
    DELETE FROM observation_generation_jobs
    WHERE team_id = $1 AND project_id = $2
        AND id = ANY (
            ARRAY(SELECT id FROM observation_generation_jobs WHERE team_id = $1 AND project_id = $2 LIMIT $3)
        )
    RETURNING id
)
SELECT count(*) AS jobs FROM gone
