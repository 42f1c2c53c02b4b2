-- Delete observations of a project with their sources. $1 team id, $2 project id, $3 at most
WITH gone AS (
    DELETE FROM observations
    WHERE team_id = $1 AND project_id = $2
        -- An array is looked up by key; what a join would do here depends on statistics that a new project has none of.
        AND id = ANY (ARRAY(SELECT id FROM observations WHERE team_id = $1 AND project_id = $2 LIMIT $3))
    RETURNING id
)
SELECT count(*) AS observations FROM gone
