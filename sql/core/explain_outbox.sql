-- makegood: explain_outbox
-- What the outbox knows of an event by its id ($2), or of a payment where its id is the key ($1).
WITH unsent AS MATERIALIZED (
    SELECT seq FROM makegood.outbox_unsent()
), event AS (
    SELECT o.seq, o.created_at, o.id, o.aggregatetype, o.aggregateid, o.type,
           CASE WHEN EXISTS (SELECT FROM unsent u WHERE u.seq = o.seq) THEN 'pending' ELSE 'sent' END AS what
    FROM makegood.outbox o
    WHERE (o.id = ANY ($2) OR o.aggregateid = ANY ($1))
          AND NOT EXISTS (SELECT FROM makegood.outbox_parked p WHERE p.seq = o.seq)
          AND NOT EXISTS (SELECT FROM makegood.outbox_discarded d WHERE d.id = o.id AND d.seq = o.seq)
    UNION ALL
    SELECT p.seq, p.created_at, p.id, p.aggregatetype, p.aggregateid, p.type,
           CASE WHEN p.by_topic THEN 'held' ELSE 'set aside' END
    FROM makegood.outbox_parked p
    WHERE p.id = ANY ($2) OR p.aggregateid = ANY ($1)
    UNION ALL
    SELECT d.seq, d.created_at, d.id, d.aggregatetype, d.aggregateid, d.type, 'discarded'
    FROM makegood.outbox_discarded d
    WHERE d.id = ANY ($2) OR d.aggregateid = ANY ($1)
)
SELECT e.created_at AS at, 'outbox' AS part, e.what, NULL::text AS business_key,
       jsonb_build_object('eventId', e.id, 'topic', e.aggregatetype, 'key', e.aggregateid, 'type', e.type,
                          'reason', p.reason, 'setAsideAt', p.parked_at, 'retryAt', p.retry_at) AS contents
FROM event e
LEFT JOIN makegood.outbox_parked p ON p.seq = e.seq
ORDER BY e.seq
LIMIT 50
