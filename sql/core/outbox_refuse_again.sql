-- makegood: outbox_refuse_again
-- A row was refused once more: it waits for the next request, and so does its key.
UPDATE makegood.outbox_parked p
SET reason = coalesce(w.reason, p.reason), advice = coalesce(w.advice, p.advice), retry_at = NULL
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS w (seq, reason, advice)
WHERE p.seq = w.seq
