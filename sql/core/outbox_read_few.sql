-- makegood: outbox_read_few
-- The next rows of a delta from $1 to $2 that is small, after $3 and about $6 bytes, but always one: by the two ranges of
-- the index on xid, then sorted. (`+ 0` keeps the planner from going by seq, which would be through the whole table.)
SELECT s.seq, s.id, s.aggregatetype, s.aggregateid, s.type, s.payload, s.headers, s.created_at
FROM (
    SELECT d.*, d.seq + 0 AS place, sum(d.bytes) OVER (ORDER BY d.seq + 0) AS total
    FROM (
        SELECT late.*
        FROM makegood.outbox late
        WHERE late.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
        UNION ALL
        SELECT new.*
        FROM makegood.outbox new
        WHERE new.xid >= pg_snapshot_xmax($1::text::pg_snapshot)
    ) d
    WHERE d.seq + 0 > $3 AND pg_visible_in_snapshot(d.xid, $2::text::pg_snapshot)
          AND ($5::smallint = 1 OR makegood.outbox_shard(d.aggregateid, d.seq, $5) = $4)
) s
WHERE s.total - s.bytes < $6
ORDER BY s.place
