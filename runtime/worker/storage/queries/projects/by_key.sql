SELECT id, key, name, created_at, updated_at
FROM projects
WHERE key = :key
