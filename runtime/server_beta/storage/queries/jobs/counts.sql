-- How many jobs stand where, by source type. No arguments
SELECT source_type, status, count(*) AS jobs
FROM observation_generation_jobs
WHERE status IN ('queued', 'processing', 'failed')
GROUP BY source_type, status
