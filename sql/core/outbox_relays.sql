-- makegood: outbox_relays
-- The daemons that relay now, one row a shard.
SELECT shard, host, pid, epoch
FROM makegood.outbox_cursor
WHERE leased
ORDER BY shard
