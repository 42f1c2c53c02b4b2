-- What generation cost altogether. $1 team id, $2 project id or null, $3 since or null, $4 until or null
SELECT
    count(*) AS calls, coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens
FROM token_usage
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND ($3::timestamptz IS NULL OR created_at >= $3)
    AND ($4::timestamptz IS NULL OR created_at <= $4)
