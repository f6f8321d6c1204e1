-- makegood: outbox_park
-- Sets rows aside, contents and all, in the transaction that moves the cursor past them.
INSERT INTO makegood.outbox_parked
    (seq, created_at, id, aggregatetype, aggregateid, type, payload, headers, reason, advice)
SELECT o.seq, o.created_at, o.id, o.aggregatetype, o.aggregateid, o.type, o.payload, o.headers, w.reason, w.advice
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS w (seq, reason, advice)
JOIN makegood.outbox o USING (seq)
ON CONFLICT (seq) DO NOTHING
