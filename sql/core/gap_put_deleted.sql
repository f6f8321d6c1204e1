-- makegood: gap_put_deleted
-- What the topic had under its earlier ids and nobody had read when it was deleted, as far as a daemon saw its
-- end. What is known already stays as it is, covered or not.
INSERT INTO makegood.gaps (route_id, topic, topic_id, partition, from_offset, to_offset, reason)
SELECT $1, $3, p.topic_id, p.partition, p.next_offset, w.high, 'deleted'
FROM (
    SELECT DISTINCT ON (topic_id, partition) topic_id, partition, next_offset
    FROM makegood.positions
    WHERE consumer_group = $2 AND topic = $3 AND topic_id <> $4
    ORDER BY topic_id, partition, step DESC
) p
JOIN makegood.watermarks w ON w.consumer_group = $2 AND w.topic_id = p.topic_id AND w.partition = p.partition
WHERE w.high > p.next_offset
ON CONFLICT (route_id, topic_id, partition, from_offset, to_offset) DO NOTHING
RETURNING partition, from_offset, to_offset, reason
