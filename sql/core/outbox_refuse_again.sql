-- makegood: outbox_refuse_again
-- A row was refused once more: it waits for the next request, and so does its key; or for its topic.
UPDATE makegood.outbox_parked p
SET reason = coalesce(w.reason, p.reason), advice = coalesce(w.advice, p.advice), by_topic = w.by_topic, retry_at = NULL
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[]) AS w (seq, reason, advice, by_topic)
WHERE p.seq = w.seq
RETURNING p.seq
