-- makegood: outbox_unpark
-- Removes rows that were sent at last; what waits behind them is next.
WITH sent AS (
    DELETE FROM makegood.outbox_parked WHERE seq = ANY ($1) RETURNING aggregateid, aggregatetype
)
UPDATE makegood.outbox_parked p
SET retry_at = now()
FROM sent
WHERE p.aggregateid = sent.aggregateid AND p.aggregatetype = sent.aggregatetype AND p.seq <> ALL ($1)
