-- How many jobs stand where.
SELECT source_type, status, next_attempt_at > :now AS is_delayed, count(*) AS jobs
FROM jobs
GROUP BY 1, 2, 3
