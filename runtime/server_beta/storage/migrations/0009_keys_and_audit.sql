-- Who made a key, which key it replaces and whose local key it is; by which key an audited change came, and its details.

ALTER TABLE api_keys
    ADD COLUMN created_by text NOT NULL DEFAULT 'system:bootstrap',
    ADD COLUMN rotated_from uuid,
    ADD COLUMN installation_id uuid;
-- Every key so far was made by the bootstrap; from now on each says who made it.
ALTER TABLE api_keys
    ALTER COLUMN created_by DROP DEFAULT,
    ADD CONSTRAINT api_keys_rotated_from FOREIGN KEY (rotated_from, team_id)
        REFERENCES api_keys (id, team_id) ON DELETE SET NULL (rotated_from),
    -- One successor: of two rotations of a key at once, the second finds the first.
    ADD CONSTRAINT api_keys_successor UNIQUE (rotated_from, team_id);
-- One data folder, one local key, however many bootstraps race for it.
CREATE UNIQUE INDEX api_keys_installation ON api_keys (installation_id, team_id)
    WHERE installation_id IS NOT NULL AND revoked_at IS NULL;

-- Without a foreign key: what a key did stays known when the key is gone.
ALTER TABLE audit_log
    ADD COLUMN api_key_id uuid,
    ADD COLUMN details jsonb NOT NULL DEFAULT '{}';
DROP INDEX audit_log_team;
CREATE INDEX audit_log_team ON audit_log (team_id, created_at DESC, id DESC);
CREATE INDEX audit_log_project ON audit_log (project_id, created_at DESC, id DESC) WHERE project_id IS NOT NULL;
CREATE INDEX audit_log_resource ON audit_log (team_id, resource_id, created_at DESC, id DESC);
