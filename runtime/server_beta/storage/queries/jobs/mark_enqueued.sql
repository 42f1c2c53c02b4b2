-- Note what was published. $1 team ids, $2 project ids, $3 job ids, $4 attempts, $5 transport ids
WITH published AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[])
        AS published (team_id, project_id, id, attempt, transport_id)
),
marked AS (
    UPDATE observation_generation_jobs AS job SET
        enqueued_attempt = published.attempt, enqueued_at = now(), transport_id = published.transport_id
    FROM published
    WHERE job.team_id = published.team_id AND job.project_id = published.project_id AND job.id = published.id
        AND job.attempts <= published.attempt + 1
    RETURNING job.id, job.project_id, job.team_id, published.attempt
)
INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
SELECT id, project_id, team_id, 'enqueued', attempt FROM marked
