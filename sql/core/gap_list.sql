-- makegood: gap_list
SELECT gap, route, topic, topic_id, partition, from_offset, to_offset, reason, found_at
FROM makegood.gaps_open
ORDER BY route, partition, from_offset, gap
