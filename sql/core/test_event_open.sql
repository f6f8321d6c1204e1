-- makegood: test_event_open
SELECT FROM makegood.test_events WHERE id = $1 AND route_id = $2 AND finished_at IS NULL
