-- $1 id, $2 project id, $3 team id, $4 job id, $5 provider, $6 model, $7 lane, $8 input tokens, $9 output tokens
INSERT INTO token_usage (id, project_id, team_id, job_id, provider, model, lane, input_tokens, output_tokens)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
