-- makegood: accept_end
-- The bad stretch is over; the next one needs a decision of its own. One that has not begun waits for its own,
-- for as long as accept_open takes it.
UPDATE makegood.decisions
SET finished_at = clock_timestamp(), outcome = 'ended',
    detail = CASE WHEN started_at IS NULL THEN 'it was not needed' ELSE 'the bad stretch is over' END
WHERE route_id = $1 AND kind = 'accept' AND finished_at IS NULL
      AND (started_at IS NOT NULL OR NOT decided_at BETWEEN now() - interval '1 hour' AND now() + interval '1 minute')
