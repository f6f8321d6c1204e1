-- makegood: gap_extend
-- Notes offsets as not read: the open gap that ends there gets longer, or there is a new one.
WITH longer AS (
    UPDATE makegood.gaps
    SET to_offset = $6, found_at = pg_catalog.now()
    WHERE route_id = $1 AND topic_id = $3 AND partition = $4 AND to_offset = $5 AND reason = $7 AND covered_at IS NULL
    RETURNING id
)
INSERT INTO makegood.gaps AS g (route_id, topic, topic_id, partition, from_offset, to_offset, reason)
SELECT $1, $2, $3, $4, $5, $6, $7
WHERE NOT EXISTS (SELECT FROM longer)
ON CONFLICT (route_id, topic_id, partition, from_offset, to_offset) DO UPDATE
SET reason = excluded.reason, found_at = pg_catalog.now(), covered_at = NULL, covered_how = NULL, covered_run = NULL,
    covered_by = NULL, note = NULL
