-- Every event asks whether its turn is private; almost none is.

CREATE INDEX agent_events_private ON agent_events (server_session_id, turn_key) WHERE metadata @> '{"private": true}';
