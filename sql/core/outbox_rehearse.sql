-- makegood: outbox_rehearse
-- What the relay does to its tables, to be rolled back: whoever may not do it here, or cannot, is told why.
WITH stepped AS (
    INSERT INTO makegood.outbox_steps
        (shard, step, shards, epoch, from_snapshot, to_snapshot, last_seq, published, lease_until)
    VALUES (-1, 0, 1, 0, '3:3:', '3:3:', 0, 0, '-infinity')
    RETURNING step
), trimmed AS (
    DELETE FROM makegood.outbox_steps WHERE shard = -2
), parked AS (
    INSERT INTO makegood.outbox_parked (seq, created_at, bytes, id, aggregatetype, type, payload, headers)
    SELECT o.seq, o.created_at, o.bytes, o.id, o.aggregatetype, o.type, o.payload, o.headers
    FROM makegood.outbox o
    WHERE o.seq < 0
), marked AS (
    UPDATE makegood.outbox_parked SET retry_at = NULL WHERE seq < 0
), unparked AS (
    DELETE FROM makegood.outbox_parked WHERE seq < -1
), stamped AS (
    UPDATE makegood.outbox SET xid = xid WHERE seq < 0
), turned AS (
    INSERT INTO makegood.outbox_turns (turn) SELECT -1 WHERE false
)
SELECT makegood.outbox_shard('key', 1, 1::smallint), (SELECT count(*) FROM makegood.outbox_cursor), s.step
FROM stepped s
