-- makegood: outbox_topics
-- The topics that rows of shard $1 wait for, why, and whether somebody asked to try one now.
SELECT p.aggregatetype, (array_agg(p.reason ORDER BY p.seq))[1], (array_agg(p.advice ORDER BY p.seq))[1],
       bool_or(p.retry_at IS NOT NULL)
FROM makegood.outbox_parked p
WHERE p.by_topic AND makegood.outbox_shard(p.aggregateid, p.seq, $2) = $1
GROUP BY p.aggregatetype
