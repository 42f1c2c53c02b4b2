-- Store an observation; no row touched means that this very one is there.
INSERT INTO observations (
    id, project_id, session_id, source_type, source_id, kind, title, subtitle, narrative, facts, concepts, files_read,
    files_modified, metadata, created_at, updated_at
)
VALUES (
    :id, :project_id, :session_id, :source_type, :source_id, :kind, :title, :subtitle, :narrative, :facts, :concepts,
    :files_read, :files_modified, :metadata, :happened_at, :now
)
ON CONFLICT (id) DO NOTHING
