SELECT count(*) AS events
FROM events
WHERE received_at >= :since
