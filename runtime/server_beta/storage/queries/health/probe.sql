-- No arguments
SELECT max(version) AS schema_version, current_setting('transaction_read_only')::boolean AS is_read_only
FROM schema_migrations
