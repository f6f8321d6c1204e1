-- makegood: outbox_claim
-- A new epoch of shard $1 for holder $3, if step $2 is still the newest; the cursor is $6, $7, $8.
INSERT INTO makegood.outbox_steps
    (shard, step, shards, epoch, from_snapshot, to_snapshot, last_seq, published, holder, host, pid, lease_until,
     system_identifier)
SELECT s.shard, s.step + 1, s.shards, s.epoch + 1, $6::text::pg_snapshot, $7::text::pg_snapshot, $8, s.published,
       $3, $4, $5, clock_timestamp() + make_interval(secs => $9), c.system_identifier
FROM (SELECT * FROM makegood.outbox_steps p WHERE p.shard = $1 ORDER BY p.step DESC LIMIT 1) s,
     pg_catalog.pg_control_system() c
WHERE s.step = $2
ON CONFLICT DO NOTHING
RETURNING step, epoch
