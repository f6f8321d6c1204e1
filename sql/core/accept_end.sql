-- makegood: accept_end
-- The bad stretch is over; the next one needs a decision of its own. One that has not begun waits for its own.
UPDATE makegood.decisions
SET finished_at = clock_timestamp(), outcome = 'ended', detail = 'the bad stretch is over'
WHERE route_id = $1 AND kind = 'accept' AND finished_at IS NULL AND started_at IS NOT NULL
