-- Let nobody else make a team by name before this transaction ends; names are looked up after. No parameters
SELECT pg_advisory_xact_lock(hashtextextended('claude_mem.teams', 0))
