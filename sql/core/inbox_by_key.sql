-- makegood: inbox_by_key
-- One business key has few events, so they are sorted after the index on business_key found them.
WITH found AS MATERIALIZED (
    SELECT *
    FROM makegood.inbox_events
    WHERE business_key = $5
)
SELECT route, event_id, outcome, business_key, detail, partition, "offset", event_at, applied_at, reused_id, origin
FROM found
WHERE ($1::double precision IS NULL OR applied_at >= now() - make_interval(secs => $1))
      AND ($2::text IS NULL OR route = $2) AND ($3::text IS NULL OR outcome = $3)
ORDER BY applied_at DESC
LIMIT $4
