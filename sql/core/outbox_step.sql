-- makegood: outbox_step
-- One step of shard $1: the cursor, the lease for another $7 seconds, and what the relay says of itself, if the step it
-- builds on ($2) is still the newest. No row in the answer: somebody else has the shard.
INSERT INTO makegood.outbox_steps
    (shard, step, shards, epoch, from_snapshot, to_snapshot, last_seq, published, top_seq, holder, host, pid,
     lease_until, sleeps_until, in_flight, reason, advice, remark)
SELECT s.shard, s.step + 1, s.shards, s.epoch, $3::text::pg_snapshot, $4::text::pg_snapshot, $5, s.published + $6, greatest(s.top_seq, $13),
       s.holder, s.host, s.pid, clock_timestamp() + make_interval(secs => $7),
       CASE WHEN $8 THEN clock_timestamp() + make_interval(secs => $7) END, $9, $10, $11, $12
FROM (SELECT * FROM makegood.outbox_steps p WHERE p.shard = $1 ORDER BY p.step DESC LIMIT 1) s
WHERE s.step = $2
ON CONFLICT (shard, step) DO NOTHING
RETURNING step
