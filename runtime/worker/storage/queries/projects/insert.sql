-- Make a project unless its key is known.
INSERT INTO projects (id, key, name, created_at, updated_at)
VALUES (:id, :key, :name, :now, :now)
ON CONFLICT (key) DO NOTHING
