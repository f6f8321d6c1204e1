-- makegood: quarantine_put
-- The same record, or the same event again, is not a second case.
INSERT INTO makegood.quarantine
    (route_id, topic, topic_id, partition, "offset", record_at, key, value, header_names, header_values,
     event_id, digest, reason, sqlstate, detail, business_key)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
WHERE NOT EXISTS (
    SELECT FROM makegood.quarantine WHERE route_id = $1 AND event_id = $11 AND digest = $12 AND resolved_at IS NULL
)
ON CONFLICT (route_id, topic_id, partition, "offset", digest) DO NOTHING
