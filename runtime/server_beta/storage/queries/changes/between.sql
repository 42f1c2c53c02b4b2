-- What the transactions that ended between two moments changed, in the order of the changes. $1 team id, $2 project id or
-- null, $3 kinds, $4 the snapshot of the earlier moment, $5 its lowest transaction, $6 the snapshot of the later moment,
-- $7 the last number that was read of these, $8 at most
SELECT seq, project_id, kind, subject_id
FROM changes
WHERE team_id = $1
    AND ($2::uuid IS NULL OR project_id = $2)
    AND xid >= $5::text::xid8
    AND NOT pg_visible_in_snapshot(xid, $4::text::pg_snapshot)
    AND pg_visible_in_snapshot(xid, $6::text::pg_snapshot)
    AND kind = ANY ($3::text[])
    AND seq > $7
ORDER BY seq
LIMIT $8
