-- Note what was published. $1 team ids, $2 project ids, $3 job ids, $4 attempts, $5 transport ids
-- Projects before jobs, and both in one order: a delete, or another relay with some of the same jobs, would otherwise
-- hold what this waits for and wait for what this holds.
WITH published AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[])
        AS published (team_id, project_id, id, attempt, transport_id)
),
held_projects AS (
    SELECT id, team_id FROM projects
    WHERE (id, team_id) IN (SELECT project_id, team_id FROM published)
    ORDER BY id
    FOR KEY SHARE
),
held AS (
    SELECT job.id, job.project_id, job.team_id
    FROM held_projects AS project
    JOIN observation_generation_jobs AS job ON job.project_id = project.id AND job.team_id = project.team_id
    WHERE job.id = ANY ($3)
    ORDER BY job.id
    FOR NO KEY UPDATE OF job
),
marked AS (
    UPDATE observation_generation_jobs AS job SET
        enqueued_attempt = published.attempt, enqueued_at = now(), transport_id = published.transport_id
    FROM held
    JOIN published USING (id, project_id, team_id)
    WHERE job.team_id = held.team_id AND job.project_id = held.project_id AND job.id = held.id
        AND job.attempts <= published.attempt + 1
    RETURNING job.id, job.project_id, job.team_id, published.attempt
)
INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
SELECT id, project_id, team_id, 'enqueued', attempt FROM marked
