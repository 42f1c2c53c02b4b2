-- Which transactions are over at this moment, and when that is. No arguments. Touches no table
SELECT pg_current_snapshot()::text AS snapshot, extract(epoch FROM statement_timestamp())::bigint AS at
