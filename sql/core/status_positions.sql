-- makegood: status_positions
SELECT route, partition, topic_id, next_offset, log_start, log_end, lag, log_seen_at, progress_at, epoch
FROM makegood.consumer_positions
WHERE is_current AND route IS NOT NULL
ORDER BY route, partition
