-- makegood: gap_put
-- The same range missed once more, after a sweep had covered it, is open again.
INSERT INTO makegood.gaps AS g (route_id, topic, topic_id, partition, from_offset, to_offset, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (route_id, topic_id, partition, from_offset, to_offset) DO UPDATE
SET reason = excluded.reason, found_at = now(), covered_at = NULL, covered_how = NULL, covered_run = NULL,
    covered_by = NULL, note = NULL
