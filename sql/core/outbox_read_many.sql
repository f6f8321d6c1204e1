-- makegood: outbox_read_many
-- The next rows of a delta from $1 to $2 that is large: along the order of seq, after $3 and up to $6, at most $7 rows and
-- about $8 bytes, but always one. To sort the whole delta for each batch would take longer than to send it.
SELECT s.seq, s.id, s.aggregatetype, s.aggregateid, s.type, s.payload, s.headers, s.created_at
FROM (
    SELECT d.*, sum(d.bytes) OVER (ORDER BY d.seq) AS total
    FROM (
        SELECT o.*
        FROM makegood.outbox o
        WHERE o.seq > $3 AND o.seq <= $6
              AND NOT pg_visible_in_snapshot(o.xid, $1::text::pg_snapshot)
              AND pg_visible_in_snapshot(o.xid, $2::text::pg_snapshot)
              AND ($5::smallint = 1 OR makegood.outbox_shard(o.aggregateid, o.seq, $5) = $4)
        ORDER BY o.seq
        LIMIT $7
    ) d
) s
WHERE s.total - s.bytes < $8
ORDER BY s.seq
