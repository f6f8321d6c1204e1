-- makegood: quarantine_show
SELECT q.id, r.name AS route, q.reason, q.sqlstate, q.detail, q.topic, q.business_key, q.partition, q."offset", q.event_id,
       coalesce(q.whole_bytes, octet_length(q.value)) AS value_bytes, q.record_at, q.quarantined_at, q.attempts, q.resolved_at, q.resolution,
       q.judged_at IS NOT NULL AS is_judged, q.topic_id, q.digest, q.key, q.value, q.header_names, q.header_values,
       q.whole_bytes
FROM makegood.quarantine q
JOIN makegood.routes r ON r.id = q.route_id
WHERE q.id = ANY ($1::bigint[])
ORDER BY q.id
