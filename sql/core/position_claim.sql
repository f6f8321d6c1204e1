-- makegood: position_claim
-- Starts a new epoch of each partition, if the step the claimant read is still the newest: $5 is that
-- step, 0 where it found none. A partition that somebody else moved meanwhile has no row in the answer.
-- The last record that was applied goes on to tell the log from another one, also where it lies behind the start, unless the
-- log lost it.
INSERT INTO makegood.positions
    (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, why, writer, progress_at,
     anchor_offset, anchor_timestamp_ms, anchor_digest, counts)
SELECT $1, $2, n.partition, n.step + 1, $3, n.next_offset, coalesce(p.epoch, 0) + 1, 'claim', n.why, $8, p.progress_at,
       CASE WHEN n.why <> 'truncated' THEN p.anchor_offset END,
       CASE WHEN n.why <> 'truncated' THEN p.anchor_timestamp_ms END,
       CASE WHEN n.why <> 'truncated' THEN p.anchor_digest END,
       coalesce(p.counts, '{}')
FROM unnest($4::integer[], $5::bigint[], $6::bigint[], $7::text[]) AS n (partition, step, next_offset, why)
LEFT JOIN LATERAL (
    SELECT *
    FROM makegood.positions q
    WHERE q.consumer_group = $1 AND q.topic_id = $2 AND q.partition = n.partition
    ORDER BY q.step DESC
    LIMIT 1
) p ON true
WHERE coalesce(p.step, 0) = n.step
ON CONFLICT (consumer_group, topic_id, partition, step) DO NOTHING
RETURNING partition, step, epoch
