-- makegood: position_read
-- The newest step of each of some partitions of one topic id.
SELECT p.partition, p.step, p.epoch, p.next_offset, p.writer, p.anchor_offset, p.anchor_timestamp_ms, p.anchor_digest
FROM unnest($3::integer[]) AS wanted (partition)
CROSS JOIN LATERAL (
    SELECT *
    FROM makegood.positions q
    WHERE q.consumer_group = $1 AND q.topic_id = $2 AND q.partition = wanted.partition
    ORDER BY q.step DESC
    LIMIT 1
) p
