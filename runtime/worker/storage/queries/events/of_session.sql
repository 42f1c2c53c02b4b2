-- What a session's summary is made from: its newest events, within 8 MB of payload, oldest first; private turns left out.
SELECT event_type, payload, occurred_at
FROM (
    SELECT
        event_type, payload, occurred_at, sequence,
        sum(length(payload)) OVER (ORDER BY occurred_at DESC, sequence DESC) AS size_so_far
    FROM (
        SELECT events.event_type, events.payload, events.occurred_at, events.sequence
        FROM events
        LEFT JOIN turns ON turns.id = events.turn_id
        WHERE events.session_id = :session_id AND coalesce(turns.is_private, 0) = 0
        ORDER BY events.occurred_at DESC, events.sequence DESC
        LIMIT 2000
    )
)
WHERE size_so_far <= 8000000
ORDER BY occurred_at, sequence
