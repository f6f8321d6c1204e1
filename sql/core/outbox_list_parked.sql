-- makegood: outbox_list_parked
-- Events parked, of key $1 and topic $3 if they are given, at most $2; those of one key in the order in which they go.
SELECT event_id, topic, key, event_type,
       CASE WHEN reason IS NULL THEN 'behind' ELSE 'refused' END AS state, reason, advice,
       greatest(extract(epoch FROM clock_timestamp() - created_at), 0)::double precision AS age, created_at, parked_at, retry_at
FROM makegood.outbox_parked_events
WHERE ($1::text IS NULL OR key = $1) AND ($3::text IS NULL OR topic = $3)
ORDER BY topic, key, seq
LIMIT $2
