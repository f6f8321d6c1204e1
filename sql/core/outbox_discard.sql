-- makegood: outbox_discard
-- Gives up the rows numbered $1, because of $2. Those of their keys that waited behind them are next.
WITH given AS (
    DELETE FROM makegood.outbox_parked WHERE seq = ANY ($1) RETURNING *
), kept AS (
    INSERT INTO makegood.outbox_discarded (id, seq, created_at, aggregatetype, aggregateid, type, payload, headers, reason, why)
    SELECT id, seq, created_at, aggregatetype, aggregateid, type, payload, headers, reason, $2
    FROM given
), next AS (
    UPDATE makegood.outbox_parked p
    SET retry_at = now()
    FROM (SELECT DISTINCT aggregateid, aggregatetype FROM given) g
    WHERE p.aggregateid = g.aggregateid AND p.aggregatetype = g.aggregatetype AND p.seq <> ALL ($1)
          AND NOT p.by_topic AND p.reason IS NULL AND p.retry_at IS NULL
), woken AS (
    SELECT CASE WHEN pg_notification_queue_usage() < 0.5 THEN pg_notify('makegood_outbox', '') END
)
SELECT count(*) FROM given, woken
