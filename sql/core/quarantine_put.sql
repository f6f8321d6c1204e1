-- makegood: quarantine_put
-- Puts a record away, as a suspect ($17), as one whose payment may only be late, or judged. The same record
-- is not a second case, nor is the same event while its case is open.
INSERT INTO makegood.quarantine
    (route_id, topic, topic_id, partition, "offset", record_at, key, value, header_names, header_values,
     event_id, digest, reason, sqlstate, detail, business_key, suspect, judged_at, fingerprint, advice,
     whole_bytes)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
       CASE WHEN $17 THEN 'unproven' WHEN $13 IN ('no_payment', 'mismatch') THEN 'unverified' END,
       CASE WHEN NOT $17 AND $13 NOT IN ('no_payment', 'mismatch') THEN pg_catalog.now() END, $18, $19, $20
WHERE NOT EXISTS (
    SELECT FROM makegood.quarantine q
    -- Written so that no index that begins with the route looks as good as the event's own.
    WHERE q.event_id = $11 AND q.digest = $12 AND q.route_id IS NOT DISTINCT FROM $1 AND q.resolved_at IS NULL
)
ON CONFLICT (route_id, topic_id, partition, "offset", digest) DO NOTHING
