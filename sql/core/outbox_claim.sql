-- makegood: outbox_claim
-- A new epoch of shard $1 for holder $3, if step $2 is still the newest; the cursor is $6, $7, $8. What a holder said of
-- its trouble stands until it says otherwise: a term that ends at once says nothing better.
INSERT INTO makegood.outbox_steps
    (shard, step, shards, epoch, from_snapshot, to_snapshot, last_seq, published, top_seq, holder, host, pid,
     lease_until, reason, advice)
SELECT s.shard, s.step + 1, s.shards, s.epoch + 1, $6::text::pg_snapshot, $7::text::pg_snapshot, $8, s.published, s.top_seq,
       $3, $4, $5, clock_timestamp() + make_interval(secs => $9),
       CASE WHEN s.holder = $3 THEN s.reason END, CASE WHEN s.holder = $3 THEN s.advice END
FROM (SELECT * FROM makegood.outbox_steps p WHERE p.shard = $1 ORDER BY p.step DESC LIMIT 1) s
WHERE s.step = $2
ON CONFLICT (shard, step) DO NOTHING
RETURNING step, epoch
