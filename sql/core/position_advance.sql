-- makegood: position_advance
-- The compare-and-set that ends each batch: one row a partition, if the step it builds on ($4) is still
-- the newest. A partition missing from the answer has another owner by now; the batch must not commit.
INSERT INTO makegood.positions
    (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, writer, progress_at,
     anchor_offset, anchor_timestamp_ms, anchor_digest, counts)
SELECT p.consumer_group, p.topic_id, p.partition, p.step + 1, p.topic, n.next_offset, p.epoch, 'batch', $9,
       clock_timestamp(), n.next_offset - 1, n.anchor_timestamp_ms, n.anchor_digest,
       ARRAY(
           SELECT coalesce(had, 0) + coalesce(more, 0)
           FROM unnest(p.counts, n.counts::bigint[]) WITH ORDINALITY AS counted (had, more, place)
           ORDER BY place
       )
FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::text[])
    AS n (partition, step, next_offset, anchor_timestamp_ms, anchor_digest, counts)
CROSS JOIN LATERAL (
    SELECT *
    FROM makegood.positions q
    WHERE q.consumer_group = $1 AND q.topic_id = $2 AND q.partition = n.partition
    ORDER BY q.step DESC
    LIMIT 1
) p
WHERE p.step = n.step
ON CONFLICT (consumer_group, topic_id, partition, step) DO NOTHING
RETURNING partition, step
