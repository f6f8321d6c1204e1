-- makegood: outbox_aside_list
SELECT event_id, topic, key, event_type, reason, advice, created_at, parked_at, retry_at, seq
FROM makegood.outbox_set_aside
WHERE ($1::text IS NULL OR key = $1)
ORDER BY topic, key, seq
LIMIT $2
