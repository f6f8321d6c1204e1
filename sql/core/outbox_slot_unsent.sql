-- makegood: outbox_slot_unsent
-- Whether table $1 of the outbox holds a row that some shard's cursor has not passed for good. Run under a lock that
-- keeps writers out, so that nobody's open transaction has one.
SELECT EXISTS (
    SELECT FROM makegood.outbox_cursor c
    CROSS JOIN LATERAL (
        SELECT late.xid FROM makegood.outbox late
        WHERE late.slot = $1 AND late.xid = ANY (ARRAY(SELECT pg_snapshot_xip(c.from_snapshot)))
        UNION ALL
        SELECT new.xid FROM makegood.outbox new
        WHERE new.slot = $1 AND new.xid >= pg_snapshot_xmax(c.from_snapshot)
    ) o
) AS unsent
