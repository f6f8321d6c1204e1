-- makegood: outbox_topics
-- The topics that rows of shard $1 wait for, why, and whether somebody asked to try one now. One look at an index for
-- each: millions may wait for one.
WITH RECURSIVE topics AS (
    (SELECT p.aggregatetype AS topic FROM makegood.outbox_parked p WHERE p.by_topic ORDER BY p.aggregatetype LIMIT 1)
    UNION ALL
    SELECT (
        SELECT p.aggregatetype
        FROM makegood.outbox_parked p
        WHERE p.by_topic AND p.aggregatetype > t.topic
        ORDER BY p.aggregatetype
        LIMIT 1
    )
    FROM topics t
    WHERE t.topic IS NOT NULL
)
SELECT t.topic, o.reason, o.advice,
       EXISTS (
           SELECT FROM makegood.outbox_parked a
           WHERE a.retry_at IS NOT NULL AND a.by_topic AND a.aggregatetype = t.topic
       ) AS asked
FROM topics t
CROSS JOIN LATERAL (
    SELECT p.reason, p.advice
    FROM makegood.outbox_parked p
    WHERE p.by_topic AND p.aggregatetype = t.topic AND makegood.outbox_shard(p.aggregateid, p.seq, $2) = $1
    ORDER BY p.seq
    LIMIT 1
) o
