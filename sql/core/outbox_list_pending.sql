-- makegood: outbox_list_pending
-- Events that Kafka has not acknowledged, of key $1 and topic $3 if they are given, at most $2, in the order in which they go.
SELECT event_id, topic, key, event_type, CASE WHEN reason IS NULL THEN 'pending' ELSE 'held' END AS state, reason, advice,
       extract(epoch FROM age)::double precision AS age, created_at, NULL::timestamptz AS parked_at,
       NULL::timestamptz AS retry_at
FROM makegood.outbox_pending
WHERE ($1::text IS NULL OR key = $1) AND ($3::text IS NULL OR topic = $3)
ORDER BY seq
LIMIT $2
