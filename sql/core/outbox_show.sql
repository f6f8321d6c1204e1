-- makegood: outbox_show
-- An event by its id, wherever it is on its way. One that was set aside may have left the outbox's own tables.
WITH found AS (
    SELECT o.seq, o.created_at, o.id, o.aggregatetype, o.aggregateid, o.type, o.payload, o.headers
    FROM makegood.outbox o
    WHERE o.id = $1
    UNION
    SELECT p.seq, p.created_at, p.id, p.aggregatetype, p.aggregateid, p.type, p.payload, p.headers
    FROM makegood.outbox_parked p
    WHERE p.id = $1
)
SELECT f.id AS event_id, f.aggregatetype AS topic, f.aggregateid AS key, f.type AS event_type,
       CASE WHEN p.reason IS NOT NULL THEN 'refused' WHEN p.seq IS NOT NULL THEN 'behind'
            WHEN EXISTS (SELECT FROM makegood.outbox_unsent() u WHERE u.seq = f.seq) THEN 'pending'
            ELSE 'published' END AS state,
       p.reason, p.advice, extract(epoch FROM clock_timestamp() - f.created_at)::double precision AS age, f.created_at,
       p.parked_at, p.retry_at, f.headers, f.payload,
       (
           SELECT first.id
           FROM makegood.outbox_parked first
           WHERE p.seq IS NOT NULL AND first.aggregatetype = f.aggregatetype AND first.aggregateid = f.aggregateid
                 AND first.seq < f.seq
           ORDER BY first.seq
           LIMIT 1
       ) AS waits_for
FROM found f
LEFT JOIN makegood.outbox_parked p ON p.seq = f.seq
ORDER BY f.seq
