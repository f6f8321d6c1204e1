-- makegood: outbox_show
-- An event by its id, wherever it is on its way. One that was parked may have left the outbox's own tables.
WITH found AS (
    SELECT p.seq, p.created_at, p.id, p.aggregatetype, p.aggregateid, p.type, p.payload, p.headers,
           CASE WHEN p.by_topic THEN 'held' WHEN p.reason IS NULL THEN 'behind' ELSE 'refused' END AS state,
           p.reason, p.advice, p.parked_at, p.retry_at
    FROM makegood.outbox_parked p
    WHERE p.id = $1
    UNION ALL
    SELECT d.seq, d.created_at, d.id, d.aggregatetype, d.aggregateid, d.type, d.payload, d.headers,
           'discarded', d.why || ' (' || d.discarded_by || ')', NULL, d.discarded_at, NULL
    FROM makegood.outbox_discarded d
    WHERE d.id = $1
    UNION ALL
    SELECT o.seq, o.created_at, o.id, o.aggregatetype, o.aggregateid, o.type, o.payload, o.headers,
           CASE WHEN EXISTS (SELECT FROM makegood.outbox_unsent() u WHERE u.seq = o.seq) THEN 'pending' ELSE 'published' END,
           NULL, NULL, NULL, NULL
    FROM makegood.outbox o
    WHERE o.id = $1
          AND NOT EXISTS (SELECT FROM makegood.outbox_parked p WHERE p.id = o.id AND p.seq = o.seq)
          AND NOT EXISTS (SELECT FROM makegood.outbox_discarded d WHERE d.id = o.id AND d.seq = o.seq)
)
SELECT f.id AS event_id, f.aggregatetype AS topic, f.aggregateid AS key, f.type AS event_type, f.state, f.reason, f.advice,
       greatest(extract(epoch FROM clock_timestamp() - f.created_at), 0)::double precision AS age, f.created_at,
       f.parked_at, f.retry_at, f.headers, f.payload,
       (
           SELECT first.id
           FROM makegood.outbox_parked first
           WHERE f.state IN ('refused', 'behind') AND first.aggregatetype = f.aggregatetype
                 AND first.aggregateid = f.aggregateid AND first.seq < f.seq
           ORDER BY first.seq
           LIMIT 1
       ) AS waits_for
FROM found f
ORDER BY f.seq
