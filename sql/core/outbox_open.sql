-- makegood: outbox_open
-- Measures a delta: what is visible now (or under $2, where it was opened before) and was not visible under $1, without
-- what lies up to $3. Rows of transactions that were in progress then, and of those that began later, here those from
-- $6 to below $7: two ranges of the index on xid. The rows counted and the snapshot returned are of one statement, so
-- they are what that snapshot sees. (`+ 0` keeps the planner from going by seq, which would be through the whole table.)
SELECT coalesce($2::text, pg_current_snapshot()::text) AS to_snapshot, count(*) AS rows, min(d.seq) AS first_seq,
       max(d.seq) AS last_seq
FROM (
    SELECT late.seq, late.xid, late.aggregateid
    FROM makegood.outbox late
    WHERE late.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
          AND $6::text::xid8 = pg_snapshot_xmax($1::text::pg_snapshot)
    UNION ALL
    SELECT new.seq, new.xid, new.aggregateid
    FROM makegood.outbox new
    WHERE new.xid >= $6::text::xid8 AND new.xid < $7::text::xid8
) d
WHERE d.seq + 0 > $3 AND ($2::text IS NULL OR pg_visible_in_snapshot(d.xid, $2::text::pg_snapshot))
      AND ($5::smallint = 1 OR makegood.outbox_shard(d.aggregateid, d.seq, $5) = $4)
