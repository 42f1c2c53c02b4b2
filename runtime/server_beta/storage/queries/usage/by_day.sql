-- What generation cost, by UTC day and what it was spent on, newest day first. $1 team id, $2 project id or null,
-- $3 since or null, $4 until or null, $5 to $9 the last row of the page before, or null: day, project id, provider,
-- model and lane ($6, $7, $8), $10 at most
SELECT
    (created_at AT TIME ZONE 'UTC')::date AS day, project_id, provider, model, lane,
    count(*) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
FROM token_usage
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND ($3::timestamptz IS NULL OR created_at >= $3)
    AND ($4::timestamptz IS NULL OR created_at <= $4)
    AND (
        $5::date IS NULL
        OR ((created_at AT TIME ZONE 'UTC')::date, project_id, provider, model, lane)
            < ($5, $6::uuid, $7::text, $8::text, $9::text)
    )
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1 DESC, 2 DESC, 3 DESC, 4 DESC, 5 DESC
LIMIT $10
