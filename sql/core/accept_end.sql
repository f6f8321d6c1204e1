-- makegood: accept_end
-- Something was applied since it began, so the bad stretch is over; the next one needs a decision of its own. One that
-- has not begun waits for as long as accept_open takes it.
UPDATE makegood.decisions d
SET finished_at = pg_catalog.clock_timestamp(), outcome = 'ended',
    detail = CASE WHEN d.started_at IS NULL THEN 'it was not needed' ELSE 'the bad stretch is over' END
WHERE d.route_id = $1 AND d.kind = 'accept' AND d.finished_at IS NULL
      AND CASE
          WHEN coalesce(d.started_at, d.decided_at) > pg_catalog.now() + interval '1 minute' THEN true
          WHEN d.started_at IS NULL THEN d.decided_at <= pg_catalog.now() - interval '1 hour'
          ELSE EXISTS (
              SELECT FROM makegood.inbox i
              WHERE i.applied_at > d.started_at AND i.route_id = d.route_id AND i.outcome = 'applied'
          )
      END
