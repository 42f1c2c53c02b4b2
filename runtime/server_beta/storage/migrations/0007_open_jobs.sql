-- Health counts the jobs that are not done; the completed ones, nearly all there are, must not be read for that.

CREATE INDEX jobs_open ON observation_generation_jobs (status, source_type) WHERE status <> 'completed';
