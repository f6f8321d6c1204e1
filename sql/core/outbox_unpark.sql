-- makegood: outbox_unpark
-- Removes rows that were sent at last; what waits behind them is next.
WITH sent AS (
    DELETE FROM makegood.outbox_parked WHERE seq = ANY ($1) RETURNING aggregateid, aggregatetype
)
UPDATE makegood.outbox_parked p
SET retry_at = now()
FROM (SELECT DISTINCT aggregateid, aggregatetype FROM sent) s
WHERE p.aggregateid = s.aggregateid AND p.aggregatetype = s.aggregatetype AND p.seq <> ALL ($1)
      AND NOT p.by_topic AND p.retry_at IS NULL
