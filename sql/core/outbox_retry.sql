-- makegood: outbox_retry
-- Asks the relay to send again the rows numbered $1, and wakes it.
WITH asked AS (
    UPDATE makegood.outbox_parked SET retry_at = now() WHERE seq = ANY ($1) RETURNING seq
), woken AS (
    SELECT pg_notify('makegood_outbox', '')
)
SELECT count(*) FROM asked, woken
