-- makegood: outbox_pending_list
SELECT event_id, topic, key, event_type, bytes, created_at, seq
FROM makegood.outbox_pending
WHERE ($1::text IS NULL OR key = $1)
ORDER BY seq
LIMIT $2
