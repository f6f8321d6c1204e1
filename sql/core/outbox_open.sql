-- makegood: outbox_open
-- Measures a delta: what is visible now (or under $2, where it was opened before) and was not visible under $1, without
-- what lies up to $3. Rows of transactions that were in progress then, and of those that began later, here about $7 rows
-- from transaction $6 on: two ranges of the index on xid. The rows counted and the snapshot returned are of one
-- statement, so they are what that snapshot sees. The last transaction is returned that was counted, null if it was the
-- last there is. (Rows of one transaction are counted together: the next piece begins with the next one.)
SELECT coalesce($2::text, pg_current_snapshot()::text) AS to_snapshot, count(*) FILTER (WHERE c.counts) AS rows,
       min(c.seq) FILTER (WHERE c.counts) AS first_seq, max(c.seq) FILTER (WHERE c.counts) AS last_seq,
       CASE WHEN count(c.began_later) >= $7 THEN max(c.began_later) END AS counted
FROM (
    SELECT d.seq, d.began_later,
           d.seq > $3 AND ($2::text IS NULL OR pg_visible_in_snapshot(d.xid, $2::text::pg_snapshot))
           AND ($5::smallint = 1 OR makegood.outbox_shard(d.aggregateid, d.seq, $5) = $4) AS counts
    FROM (
        SELECT late.seq, late.xid, late.aggregateid, NULL::bigint AS began_later
        FROM makegood.outbox late
        WHERE late.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
              AND $6::text::xid8 = pg_snapshot_xmax($1::text::pg_snapshot)
        UNION ALL
        SELECT new.*
        FROM (
            SELECT o.seq, o.xid, o.aggregateid, o.xid::text::bigint AS began_later
            FROM makegood.outbox o
            WHERE o.xid >= $6::text::xid8
            ORDER BY o.xid
            FETCH FIRST ($7) ROWS WITH TIES
        ) new
    ) d
) c
