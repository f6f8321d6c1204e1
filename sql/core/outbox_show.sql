-- makegood: outbox_show
-- An event of the outbox by its id, wherever it is on its way.
SELECT o.id AS event_id, o.aggregatetype AS topic, o.aggregateid AS key, o.type AS event_type, o.headers, o.payload, o.bytes,
       o.created_at, o.seq, u.seq IS NOT NULL AS pending, p.seq IS NOT NULL AS set_aside, p.reason, p.advice
FROM makegood.outbox o
LEFT JOIN makegood.outbox_unsent() u ON u.seq = o.seq
LEFT JOIN makegood.outbox_parked p ON p.seq = o.seq
WHERE o.id = $1
UNION ALL
SELECT p.id, p.aggregatetype, p.aggregateid, p.type, p.headers, p.payload,
       octet_length(p.payload), p.created_at, p.seq, false, true, p.reason, p.advice
FROM makegood.outbox_parked p
WHERE p.id = $1 AND NOT EXISTS (SELECT FROM makegood.outbox o WHERE o.seq = p.seq)
ORDER BY seq
