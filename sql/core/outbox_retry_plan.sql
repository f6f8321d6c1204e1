-- makegood: outbox_retry_plan
-- What was set aside, for $1, a key or (as $2) an event's id, or all of it: an event stands for its whole key, because one
-- of a key can only go after those before it.
SELECT event_id, topic, key, event_type,
       CASE WHEN reason IS NULL THEN 'behind' ELSE 'refused' END AS state, reason, advice,
       extract(epoch FROM clock_timestamp() - created_at)::double precision AS age, created_at, parked_at, retry_at, seq
FROM makegood.outbox_set_aside a
WHERE $1::text IS NULL OR key = $1 OR event_id = $2
      OR (topic, key) IN (SELECT topic, key FROM makegood.outbox_set_aside WHERE event_id = $2)
ORDER BY topic, key, seq
