-- What one row says about another is tied to the tenant by the schema: keys, jobs, sources, usage and audit, too.
-- A job's lifecycle events stay tied to their project through their job alone: whoever changes a job would otherwise take
-- hold of the job before the project, the other way round than whoever deletes.

-- A restore, or a switched-off trigger, may have left rows that name others which are gone. They would stop this upgrade
-- for ever, so it does with them what the deletion of those others would have done, and says how many they were.
CREATE FUNCTION mend(of_constraint name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    link record;
    mended bigint;
BEGIN
    SELECT
        tie.conrelid::regclass AS child,
        tie.confrelid::regclass AS parent,
        string_agg(format('child.%I IS NOT NULL', named.attname), ' AND ') AS is_named,
        string_agg(format('parent.%I = child.%I', there.attname, named.attname), ' AND ') AS is_there,
        string_agg(format('%I = NULL', named.attname), ', ')
            FILTER (WHERE named.attnum = ANY (tie.confdelsetcols)) AS cleared
    INTO STRICT link
    FROM pg_constraint AS tie
    CROSS JOIN unnest(tie.conkey, tie.confkey) AS pair (child, parent)
    JOIN pg_attribute AS named ON named.attrelid = tie.conrelid AND named.attnum = pair.child
    JOIN pg_attribute AS there ON there.attrelid = tie.confrelid AND there.attnum = pair.parent
    WHERE tie.contype = 'f' AND tie.connamespace = current_schema()::regnamespace AND tie.conname = of_constraint
    GROUP BY tie.oid;
    EXECUTE format(
        CASE WHEN link.cleared IS NULL THEN 'DELETE FROM %1$s AS child' ELSE 'UPDATE %1$s AS child SET %5$s' END
        || ' WHERE %3$s AND NOT EXISTS (SELECT FROM %2$s AS parent WHERE %4$s)',
        link.child, link.parent, link.is_named, link.is_there, link.cleared
    );
    GET DIAGNOSTICS mended = ROW_COUNT;
    IF mended > 0 THEN
        RAISE WARNING '% % rows of % that named rows of % which are gone',
            CASE WHEN link.cleared IS NULL THEN 'removed' ELSE 'untied' END, mended, link.child, link.parent;
    END IF;
END
$$;

-- From the leaves to the root: a row that is untied is looked at again, and must not itself name what is gone.
SELECT mend(conname)
FROM unnest(ARRAY[
    'observation_sources', 'token_usage', 'observation_generation_job_events', 'observations',
    'observation_generation_jobs', 'agent_events', 'server_sessions', 'audit_log', 'api_keys', 'projects',
    'team_members'
]) WITH ORDINALITY AS leaf (name, place)
JOIN pg_constraint ON contype = 'f' AND conrelid = leaf.name::regclass
ORDER BY place, confdeltype, conname;

ALTER TABLE api_keys ADD CONSTRAINT api_keys_tenant UNIQUE (id, team_id);

-- The event that closed a batch's turn. (A summary's source_id only tells it from the session's other summaries.)
ALTER TABLE observation_generation_jobs
    ADD COLUMN closing_event_id uuid GENERATED ALWAYS AS (
        CASE WHEN source_type = 'event_batch' THEN source_id END
    ) STORED,
    ADD CONSTRAINT jobs_closing_event FOREIGN KEY (closing_event_id, project_id, team_id)
        REFERENCES agent_events (id, project_id, team_id) ON DELETE CASCADE NOT VALID,
    ADD CONSTRAINT jobs_api_key FOREIGN KEY (api_key_id, team_id)
        REFERENCES api_keys (id, team_id) ON DELETE SET NULL (api_key_id) NOT VALID;

ALTER TABLE observation_sources ADD COLUMN agent_event_id uuid, ADD COLUMN server_session_id uuid;
UPDATE observation_sources AS source SET
    agent_event_id = CASE source.source_type WHEN 'agent_event' THEN source.source_id END,
    server_session_id = CASE source.source_type
        WHEN 'event_batch' THEN observation.server_session_id
        WHEN 'session_summary' THEN source.source_id
    END
FROM observations AS observation
WHERE observation.id = source.observation_id AND source.source_type <> 'manual';
-- Links to nothing, which no version of this program has written.
DELETE FROM observation_sources
WHERE (source_type = 'event_batch' AND server_session_id IS NULL)
    OR (source_type = 'manual' AND source_id <> observation_id);
ALTER TABLE observation_sources
    ADD CONSTRAINT sources_project FOREIGN KEY (project_id, team_id)
        REFERENCES projects (id, team_id) ON DELETE CASCADE,
    ADD CONSTRAINT sources_event FOREIGN KEY (agent_event_id, project_id, team_id)
        REFERENCES agent_events (id, project_id, team_id) ON DELETE CASCADE NOT VALID,
    ADD CONSTRAINT sources_session FOREIGN KEY (server_session_id, project_id, team_id)
        REFERENCES server_sessions (id, project_id, team_id) ON DELETE CASCADE NOT VALID,
    ADD CONSTRAINT source_model CHECK (
        CASE source_type
            WHEN 'agent_event' THEN
                agent_event_id IS NOT NULL AND agent_event_id = source_id AND server_session_id IS NULL
            WHEN 'event_batch' THEN agent_event_id IS NULL AND server_session_id IS NOT NULL
            WHEN 'session_summary' THEN
                agent_event_id IS NULL AND server_session_id IS NOT NULL AND server_session_id = source_id
            WHEN 'manual' THEN agent_event_id IS NULL AND server_session_id IS NULL AND source_id = observation_id
            ELSE false
        END
    );

-- What was spent stays spent when the job is gone.
ALTER TABLE token_usage
    ADD CONSTRAINT usage_job FOREIGN KEY (job_id, project_id, team_id)
        REFERENCES observation_generation_jobs (id, project_id, team_id) ON DELETE SET NULL (job_id) NOT VALID;

-- What was done to a project stays known to its team, the deletion of the project above all.
ALTER TABLE audit_log
    ADD CONSTRAINT audit_project FOREIGN KEY (project_id, team_id)
        REFERENCES projects (id, team_id) ON DELETE SET NULL (project_id) NOT VALID;

SELECT mend(name)
FROM unnest(ARRAY[
    'sources_event', 'sources_session', 'jobs_closing_event', 'jobs_api_key', 'usage_job', 'audit_project'
]) WITH ORDINALITY AS tie (name, place)
ORDER BY place;

DROP FUNCTION mend(name);
ALTER TABLE observation_sources VALIDATE CONSTRAINT sources_event, VALIDATE CONSTRAINT sources_session;
ALTER TABLE observation_generation_jobs
    VALIDATE CONSTRAINT jobs_closing_event,
    VALIDATE CONSTRAINT jobs_api_key;
ALTER TABLE token_usage VALIDATE CONSTRAINT usage_job;
ALTER TABLE audit_log VALIDATE CONSTRAINT audit_project;

-- A deletion that goes on to the rows below must find them.
CREATE INDEX jobs_closing_event ON observation_generation_jobs (closing_event_id) WHERE closing_event_id IS NOT NULL;
CREATE INDEX observation_sources_event ON observation_sources (agent_event_id) WHERE agent_event_id IS NOT NULL;
CREATE INDEX observation_sources_session ON observation_sources (server_session_id)
    WHERE server_session_id IS NOT NULL;
CREATE INDEX observation_sources_job ON observation_sources (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX token_usage_job ON token_usage (job_id) WHERE job_id IS NOT NULL;

-- Lists and sweeps; the tests of the query plans say which.
CREATE INDEX sessions_content ON server_sessions (project_id, platform_source, content_session_id);
CREATE INDEX jobs_of_project ON observation_generation_jobs (project_id, created_at DESC, id DESC);
CREATE INDEX jobs_of_team ON observation_generation_jobs (team_id, created_at DESC, id DESC);
CREATE INDEX observations_of_team ON observations (team_id, created_at DESC, id DESC);
CREATE INDEX token_usage_since ON token_usage (created_at) INCLUDE (input_tokens, output_tokens);
