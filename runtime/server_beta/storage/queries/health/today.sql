-- What happened since an instant. $1 the first event id of that instant (ids are time-ordered, so that their index serves),
-- $2 the instant
SELECT
    (SELECT count(*) FROM agent_events WHERE id >= $1) AS events,
    (SELECT coalesce(sum(input_tokens + output_tokens), 0) FROM token_usage WHERE created_at >= $2) AS tokens
