-- Whose job this is, asked without a tenant: only the consumer may, to tell a job that is taken from a message that
-- names another tenant's. $1 job id
SELECT team_id, project_id, source_type FROM observation_generation_jobs WHERE id = $1
