-- makegood: quarantine_list
-- Ids rise with time, so the newest are found by walking the primary key backwards.
SELECT q.id, r.name AS route, q.reason, q.sqlstate, q.detail, q.topic, q.business_key, q.partition, q."offset", q.event_id,
       coalesce(q.whole_bytes, octet_length(q.value)) AS value_bytes, q.record_at, q.quarantined_at, q.attempts, q.resolved_at, q.resolution
FROM makegood.quarantine q
JOIN makegood.routes r ON r.id = q.route_id
WHERE ($1::double precision IS NULL OR q.quarantined_at >= now() - make_interval(secs => $1))
      AND ($2::text IS NULL OR r.name = $2) AND ($3::text IS NULL OR q.reason = $3)
      AND ($5 OR q.resolved_at IS NULL)
      AND ($6::bigint[] IS NULL OR q.id = ANY ($6))
      AND ($7::double precision IS NULL OR q.quarantined_at < now() - make_interval(secs => $7))
ORDER BY q.id DESC
LIMIT $4
