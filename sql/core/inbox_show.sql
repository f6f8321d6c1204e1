-- makegood: inbox_show
SELECT route, event_id, outcome, business_key, detail, partition, "offset", event_at, applied_at, reused_id, origin
FROM makegood.inbox_events
WHERE event_id = $1
ORDER BY applied_at
