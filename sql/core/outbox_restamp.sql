-- makegood: outbox_restamp
-- After a restore the rows carry numbers of another server's transactions, and its snapshots mean nothing here. What the old cursor had passed gets a number that every snapshot sees; all else gets this
-- transaction's, so that it is new. A row whose own number is not above that of the transaction that wrote it may have
-- been published here, after the restore: in doubt it is sent again. This is for about $2 rows after number $1; the
-- answer is the last one's number, or null if there are none.
WITH piece AS (
    SELECT max(p.seq) AS last
    FROM (SELECT o.seq FROM makegood.outbox o WHERE o.seq > $1 ORDER BY o.seq LIMIT $2) p
), written AS (
    UPDATE makegood.outbox o
    SET xid = CASE
        WHEN o.xid::text::bigint % 4294967296 > o.xmin::text::bigint
             AND (pg_visible_in_snapshot(o.xid, s.from_snapshot)
                  OR (o.seq <= s.last_seq AND pg_visible_in_snapshot(o.xid, s.to_snapshot)))
            THEN '3'::xid8
        ELSE pg_current_xact_id()
    END
    FROM makegood.outbox_cursor s
    WHERE o.seq > $1 AND o.seq <= (SELECT last FROM piece)
          AND makegood.outbox_shard(o.aggregateid, o.seq, s.shards) = s.shard
)
SELECT last FROM piece
