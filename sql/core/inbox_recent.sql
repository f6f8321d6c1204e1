-- makegood: inbox_recent
-- Walks the index on applied_at backwards; $1 bounds the walk where few rows match.
SELECT route, event_id, outcome, business_key, detail, partition, "offset", event_at, applied_at, reused_id, origin
FROM makegood.inbox_events
WHERE applied_at >= now() - make_interval(secs => $1)
      AND ($2::text IS NULL OR route = $2) AND ($3::text IS NULL OR outcome = $3)
ORDER BY applied_at DESC
LIMIT $4
