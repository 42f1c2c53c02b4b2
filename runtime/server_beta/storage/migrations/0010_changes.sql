-- What changed, in the transaction that changed it: what `/v1/stream` sends, live and again. Triggers write it, so that
-- no statement can forget to; none of them fires when an event is recorded. domain/changes.py tells how it is read.

CREATE TABLE changes (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    project_id uuid NOT NULL,
    team_id uuid NOT NULL,
    kind text NOT NULL CHECK (
        kind IN (
            'observation.created', 'observation.updated', 'observation.deleted',
            'summary.created', 'summary.updated', 'summary.deleted',
            'session.started', 'session.ended',
            'job.completed', 'job.failed', 'job.cancelled'
        )
    ),
    subject_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (project_id, team_id) REFERENCES projects (id, team_id) ON DELETE CASCADE
);
CREATE INDEX changes_team ON changes (team_id, xid);
CREATE INDEX changes_project ON changes (project_id, xid);
CREATE INDEX changes_age ON changes (created_at);

-- Only ids leave through the channel: everybody who may connect to the database may listen. Of equal payloads, one
-- transaction sends one; a job is named, because somebody may be waiting for it.
CREATE FUNCTION announce_change(team uuid, project uuid, kind text, job uuid) RETURNS void
    LANGUAGE sql
    RETURN pg_notify('claude_mem_changes', concat_ws(' ', team, project, kind, job));

CREATE FUNCTION observation_noun(kind text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE kind WHEN 'summary' THEN 'summary' ELSE 'observation' END;

-- Its argument is the verb; that of a job is its status.
CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    what text;
BEGIN
    IF TG_TABLE_NAME = 'observations' THEN
        what := observation_noun(NEW.kind) || TG_ARGV[0];
    ELSIF TG_TABLE_NAME = 'server_sessions' THEN
        what := 'session' || TG_ARGV[0];
    ELSE
        what := 'job.' || NEW.status;
    END IF;
    INSERT INTO changes (project_id, team_id, kind, subject_id) VALUES (NEW.project_id, NEW.team_id, what, NEW.id);
    PERFORM announce_change(
        NEW.team_id, NEW.project_id, what, CASE WHEN TG_TABLE_NAME = 'observation_generation_jobs' THEN NEW.id END
    );
    RETURN NULL;
END
$$;

-- At once for all rows of a statement, because a purge deletes many.
CREATE FUNCTION record_deletions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (project_id, team_id, kind, subject_id)
    SELECT gone.project_id, gone.team_id, observation_noun(gone.kind) || '.deleted', gone.id
    FROM gone
    -- A project that is being deleted takes its changes along.
    JOIN projects ON projects.id = gone.project_id AND projects.team_id = gone.team_id;
    PERFORM announce_change(distinct_gone.team_id, distinct_gone.project_id, distinct_gone.what, NULL)
    FROM (
        SELECT DISTINCT gone.team_id, gone.project_id, observation_noun(gone.kind) || '.deleted' AS what FROM gone
    ) AS distinct_gone;
    RETURN NULL;
END
$$;

CREATE TRIGGER observation_created AFTER INSERT ON observations
    FOR EACH ROW EXECUTE FUNCTION record_change('.created');
-- Not for a delivery that was doubled: it touches `updated_at` alone.
CREATE TRIGGER observation_updated AFTER UPDATE ON observations
    FOR EACH ROW
    WHEN (
        (
            OLD.kind, OLD.title, OLD.subtitle, OLD.narrative, OLD.facts, OLD.concepts, OLD.files_read,
            OLD.files_modified, OLD.metadata, OLD.content
        ) IS DISTINCT FROM (
            NEW.kind, NEW.title, NEW.subtitle, NEW.narrative, NEW.facts, NEW.concepts, NEW.files_read,
            NEW.files_modified, NEW.metadata, NEW.content
        )
    )
    EXECUTE FUNCTION record_change('.updated');
CREATE TRIGGER observations_deleted AFTER DELETE ON observations
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION record_deletions();
CREATE TRIGGER session_started AFTER INSERT ON server_sessions
    FOR EACH ROW EXECUTE FUNCTION record_change('.started');
CREATE TRIGGER session_ended AFTER UPDATE OF ended_at ON server_sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
    EXECUTE FUNCTION record_change('.ended');
CREATE TRIGGER job_finished AFTER UPDATE OF status ON observation_generation_jobs
    FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled'))
    EXECUTE FUNCTION record_change();
