-- makegood: watermark_put
INSERT INTO makegood.watermarks (consumer_group, topic_id, partition, low, high)
SELECT $1, $2, w.partition, w.low, w.high
FROM unnest($3::integer[], $4::bigint[], $5::bigint[]) AS w (partition, low, high)
ON CONFLICT (consumer_group, topic_id, partition)
    DO UPDATE SET low = excluded.low, high = excluded.high, seen_at = now()
