-- makegood: quarantine_put
-- Puts a record away, as a suspect ($17) or judged. The same record is not a second case, nor is the same event while
-- its case is open.
INSERT INTO makegood.quarantine
    (route_id, topic, topic_id, partition, "offset", record_at, key, value, header_names, header_values,
     event_id, digest, reason, sqlstate, detail, business_key, suspect, judged_at, fingerprint, advice,
     whole_bytes)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
       CASE WHEN $17 THEN 'unproven' END, CASE WHEN NOT $17 THEN pg_catalog.now() END, $18, $19, $20
WHERE NOT EXISTS (
    SELECT FROM makegood.quarantine q
    WHERE q.route_id = $1 AND q.event_id = $11 AND q.digest = $12 AND q.resolved_at IS NULL
)
ON CONFLICT (route_id, topic_id, partition, "offset", digest) DO NOTHING
