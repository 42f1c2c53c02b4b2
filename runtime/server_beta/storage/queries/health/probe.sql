-- No arguments
SELECT max(version) AS schema_version FROM schema_migrations
