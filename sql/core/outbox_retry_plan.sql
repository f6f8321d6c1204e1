-- makegood: outbox_retry_plan
-- What was parked or waits for its topic, for $1, a key or (as $2) an event's id, for topic $3, or all of it: an event
-- stands for its whole key, because one of a key can only go after those before it.
SELECT p.id AS event_id, p.aggregatetype AS topic, p.aggregateid AS key, p.type AS event_type,
       CASE WHEN p.by_topic THEN 'held' WHEN p.reason IS NULL THEN 'behind' ELSE 'refused' END AS state, p.reason, p.advice,
       greatest(extract(epoch FROM clock_timestamp() - p.created_at), 0)::double precision AS age, p.created_at, p.parked_at,
       p.retry_at, p.seq
FROM makegood.outbox_parked p
WHERE ($3::text IS NULL OR p.aggregatetype = $3)
      AND ($1::text IS NULL OR p.aggregateid = $1 OR p.id = $2
           OR (p.aggregatetype, p.aggregateid) IN (SELECT q.aggregatetype, q.aggregateid FROM makegood.outbox_parked q WHERE q.id = $2))
ORDER BY p.aggregatetype, p.aggregateid, p.seq
