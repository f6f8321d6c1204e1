-- makegood: outbox_park
-- Parks rows, contents and all, in the transaction that moves the cursor past them. One that was parked before a
-- restart went back is known; a number that another event has is in no answer, and the step fails.
INSERT INTO makegood.outbox_parked AS p
    (seq, created_at, bytes, by_topic, id, aggregatetype, aggregateid, type, payload, headers, reason, advice)
SELECT o.seq, o.created_at, o.bytes, w.by_topic, o.id, o.aggregatetype, o.aggregateid, o.type, o.payload, o.headers,
       w.reason, w.advice
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[]) AS w (seq, reason, advice, by_topic)
JOIN makegood.outbox o USING (seq)
ON CONFLICT (seq) DO UPDATE
SET reason = excluded.reason, advice = excluded.advice, by_topic = excluded.by_topic
WHERE p.id = excluded.id
RETURNING p.seq
