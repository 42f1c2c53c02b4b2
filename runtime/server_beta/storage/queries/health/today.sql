-- Events stored since the given instant. $1 since
SELECT count(*) AS events FROM agent_events WHERE created_at >= $1
