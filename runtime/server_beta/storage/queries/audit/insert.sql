-- $1 id, $2 team id, $3 project id or null, $4 actor, $5 action, $6 resource type, $7 resource id, $8 request id or null,
-- $9 the key that was used or null, $10 details
INSERT INTO audit_log
    (id, team_id, project_id, actor, action, resource_type, resource_id, request_id, api_key_id, details)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
