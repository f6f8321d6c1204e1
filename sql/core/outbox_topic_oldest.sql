-- makegood: outbox_topic_oldest
-- The oldest row of shard $1 that waits for topic $3: the one to try it with.
SELECT p.seq, p.id, p.aggregatetype, p.aggregateid, p.type, p.payload, p.headers, p.created_at
FROM makegood.outbox_parked p
WHERE p.by_topic AND p.aggregatetype = $3 AND makegood.outbox_shard(p.aggregateid, p.seq, $2) = $1
ORDER BY p.seq
LIMIT 1
