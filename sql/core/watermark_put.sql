-- makegood: watermark_put
INSERT INTO makegood.watermarks (consumer_group, topic_id, partition, low, high, all_read_from)
SELECT $1, $2, w.partition, w.low, w.high, w.all_read_from
FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::bigint[]) AS w (partition, low, high, all_read_from)
ON CONFLICT (consumer_group, topic_id, partition)
    DO UPDATE SET low = excluded.low, high = excluded.high, all_read_from = excluded.all_read_from, seen_at = now()
