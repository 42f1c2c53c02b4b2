-- Read an observation and let nobody else change it in this transaction; its project first, in the order in which a
-- purge takes them. $1 team id, $2 only this project or null, $3 observation id
SELECT
    observation.id, observation.project_id, observation.team_id, observation.server_session_id, observation.kind,
    observation.title, observation.subtitle, observation.narrative, observation.facts, observation.concepts,
    observation.files_read, observation.files_modified, observation.metadata, observation.content,
    observation.created_at, observation.updated_at
FROM projects AS project
JOIN observations AS observation
    ON observation.project_id = project.id AND observation.team_id = project.team_id
WHERE project.team_id = $1 AND ($2::uuid IS NULL OR project.id = $2) AND observation.id = $3
FOR KEY SHARE OF project
FOR UPDATE OF observation
