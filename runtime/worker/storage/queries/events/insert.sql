-- Store an event; no row touched means that it is known.
INSERT INTO events (id, project_id, session_id, turn_id, event_type, payload, occurred_at, received_at)
VALUES (:id, :project_id, :session_id, :turn_id, :event_type, :payload, :occurred_at, :received_at)
ON CONFLICT (id) DO NOTHING
