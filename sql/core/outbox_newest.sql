-- makegood: outbox_newest
-- The newest step of shard $1, how long its lease still lasts in seconds, and whether this server wrote it.
SELECT c.step, c.shards, c.from_snapshot::text, c.to_snapshot::text, c.last_seq, c.holder,
       CASE WHEN c.leased
            THEN extract(epoch FROM c.lease_until - clock_timestamp())::double precision ELSE 0 END AS lease_left,
       c.is_foreign
FROM makegood.outbox_cursor c
WHERE c.shard = $1
