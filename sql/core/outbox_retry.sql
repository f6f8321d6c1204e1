-- makegood: outbox_retry
-- Asks the relay to send again the rows numbered $1, to topic $2 if that is given, and wakes it, where that cannot fail
-- (see makegood.wake).
WITH asked AS (
    UPDATE makegood.outbox_parked
    SET retry_at = now(), aggregatetype = coalesce($2, aggregatetype), by_topic = by_topic AND $2 IS NULL
    WHERE seq = ANY ($1)
    RETURNING seq, id
), moved AS (
    UPDATE makegood.outbox o
    SET aggregatetype = $2
    FROM asked a
    WHERE $2 IS NOT NULL AND o.seq = a.seq AND o.id = a.id
), woken AS (
    SELECT CASE WHEN pg_notification_queue_usage() < 0.5 THEN pg_notify('makegood_outbox', '') END
)
SELECT count(*) FROM asked, woken
