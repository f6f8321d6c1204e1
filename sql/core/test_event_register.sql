-- makegood: test_event_register
INSERT INTO makegood.test_events (id, route_id) VALUES ($1, $2)
