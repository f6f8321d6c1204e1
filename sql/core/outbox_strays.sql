-- makegood: outbox_strays
-- Rows with the number of a transaction that this server has yet to reach came from another one, without its cursor; no
-- snapshot would see them until then. About $1 of them get the number of this transaction. The answer is how many.
WITH stray AS (
    SELECT o.seq, o.slot
    FROM makegood.outbox o
    WHERE o.xid >= pg_snapshot_xmax(pg_current_snapshot())
    ORDER BY o.xid
    LIMIT $1
), written AS (
    UPDATE makegood.outbox o
    SET xid = pg_current_xact_id()
    FROM stray s
    WHERE o.seq = s.seq AND o.slot = s.slot
    RETURNING o.seq
)
SELECT count(*) FROM written
