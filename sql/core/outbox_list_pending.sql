-- makegood: outbox_list_pending
-- Events that Kafka has not acknowledged, of key $1 if it is given, at most $2, in the order in which they go.
SELECT event_id, topic, key, event_type, 'pending' AS state, NULL::text AS reason, NULL::text AS advice,
       extract(epoch FROM age)::double precision AS age, created_at, NULL::timestamptz AS parked_at,
       NULL::timestamptz AS retry_at
FROM makegood.outbox_pending
WHERE $1::text IS NULL OR key = $1
ORDER BY seq
LIMIT $2
