-- makegood: accept_begin
UPDATE makegood.decisions
SET started_at = clock_timestamp()
WHERE route_id = $1 AND kind = 'accept' AND finished_at IS NULL AND started_at IS NULL
