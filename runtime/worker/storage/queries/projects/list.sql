-- All projects, or those with a key or a name (null: any).
SELECT id, key, name, created_at, updated_at
FROM projects
WHERE (:key IS NULL OR key = :key) AND (:name IS NULL OR name = :name)
ORDER BY name, key
