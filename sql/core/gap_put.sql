-- makegood: gap_put
INSERT INTO makegood.gaps (route_id, topic, topic_id, partition, from_offset, to_offset, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
