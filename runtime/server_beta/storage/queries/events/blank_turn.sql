-- Keep of a turn's events only that they happened. $1 team id, $2 project id, $3 session id, $4 turn key
UPDATE agent_events SET
    payload = jsonb_strip_nulls(jsonb_build_object(
        'hook_event_name', payload -> 'hook_event_name',
        'session_id', payload -> 'session_id',
        'prompt_id', payload -> 'prompt_id'
    )),
    metadata = metadata || '{"private": true}'
WHERE team_id = $1 AND project_id = $2 AND server_session_id = $3 AND turn_key = $4
