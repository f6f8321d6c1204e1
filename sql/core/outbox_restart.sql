-- makegood: outbox_restart
-- A new beginning for all shards, now $1 of them: a step each with the cursor at $2, and nobody's. Fewer rows in the
-- answer than outbox_restart_from counted mean that somebody else wrote one meanwhile.
INSERT INTO makegood.outbox_steps
    (shard, step, shards, epoch, from_snapshot, to_snapshot, last_seq, published, top_seq, lease_until)
SELECT s.shard, coalesce(n.step, -1) + 1, $1::smallint, coalesce(n.epoch, 0) + 1, $2::text::pg_snapshot, $2::text::pg_snapshot, 0,
       coalesce(n.published, 0), coalesce(n.top_seq, 0), '-infinity'
FROM generate_series(0, 7) s (shard)
LEFT JOIN LATERAL (
    SELECT * FROM makegood.outbox_steps p WHERE p.shard = s.shard ORDER BY p.step DESC LIMIT 1
) n ON true
WHERE s.shard < $1::smallint OR n.step IS NOT NULL
ON CONFLICT (shard, step) DO NOTHING
RETURNING shard
