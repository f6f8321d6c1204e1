-- makegood: outbox_retry
-- Asks the relay to send rows that were set aside: those of key $1, or the one with event id $2, or all.
UPDATE makegood.outbox_parked
SET retry_at = now()
WHERE ($1::text IS NULL OR aggregateid = $1) AND ($2::uuid IS NULL OR id = $2)
